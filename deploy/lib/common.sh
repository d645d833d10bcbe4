# shellcheck shell=bash
# What every script here needs: messages, ports, processes. Sourced, never run.

# The writes may fail (the terminal is gone, the reader of a pipe has left); the work goes on.
say() { printf '%s\n' "$*" 2>/dev/null || true; }
complain() { printf '%s\n' "$*" >&2 2>/dev/null || true; }

fail() {
  complain "$*"
  exit 1
}

misused() {
  complain "$1"
  complain "Try '${0##*/} --help'."
  exit 2
}

# A shell script that starts another one with & makes it ignore SIGINT, and no script can undo that for itself: start
# again with the signal's default.
heed_interrupts() {
  if [[ $(trap -p INT) == "trap -- '' SIGINT" ]] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT "$BASH" "$0" "$@"
  fi
}

# whole_number NAME VALUE MIN MAX: ends the script unless VALUE is one within the bounds.
whole_number() {
  local name=$1 value=$2 min=$3 max=$4
  if [[ ! $value =~ ^(0|[1-9][0-9]{0,5})$ ]] || ((value < min || value > max)); then
    misused "$name takes a whole number from $min to $max, not '$value'."
  fi
}

# start_task LOG COMMAND...: runs the command in the background; its output goes to LOG. Sets TASK_PID.
# It gets a process group of its own, so that all of it can be ended, and SIGTERM should this shell die without a word.
# Descriptor 9, here and elsewhere, is local.sh's lock, which nobody else may hold on to.
TASK_PID=
start_task() {
  local log=$1
  shift
  setsid setpriv --pdeathsig TERM -- "$@" >"$log" 2>&1 </dev/null 9>&- &
  TASK_PID=$!
}

# Waits for the task that TASK_PID names, and returns its status.
wait_for_task() {
  local status=0
  wait "$TASK_PID" || status=$?
  TASK_PID=
  return "$status"
}

# run_logged LOG COMMAND...: starts a task and waits for it. Bash handles a signal at once during `wait`, but only after a
# command in the foreground.
run_logged() {
  start_task "$@"
  wait_for_task
}

# run_quietly LOG COMMAND...: as run_logged, and shows the end of the output on failure.
run_quietly() {
  local status=0
  run_logged "$@" || status=$?
  if ((status != 0)); then
    complain "$(tail -n 60 "$1")"
  fi
  return "$status"
}

# Ends the task that runs when a signal arrives.
end_task() {
  if [[ -n $TASK_PID ]]; then
    end_group "$TASK_PID"
    TASK_PID=
  fi
}

# --- ports -------------------------------------------------------------------------------------------------------

# Whether something listens on the port of 127.0.0.1. Reads the kernel's table: no tool, and no connection that the
# listener would have to answer.
port_taken() {
  local hex tables=(/proc/net/tcp)
  if [[ -r /proc/net/tcp6 ]]; then
    tables+=(/proc/net/tcp6)
  fi
  printf -v hex '%04X' "$1"
  awk -v port="$hex" '
    $4 == "0A" {
      split($2, part, ":")
      if (part[2] == port && part[1] ~ /^(0100007F|0+|0000000000000000FFFF00000100007F)$/) found = 1
    }
    END { exit !found }' "${tables[@]}"
}

# Prints a free port below the range that the kernel hands out by itself, and far from every well-known one.
free_port() {
  local port tries
  for ((tries = 0; tries < 100; tries++)); do
    port=$((20000 + RANDOM % 10000))
    if ! port_taken "$port"; then
      echo "$port"
      return
    fi
  done
  return 1
}

# --- processes ---------------------------------------------------------------------------------------------------

# Whether the process runs: a zombie, which nobody has collected yet, does not.
alive() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat=${stat##*) }
  [[ ${stat:0:1} != [ZX] ]]
}

# The running processes whose environment holds exactly NAME=VALUE. Everything that we start carries such a mark and
# hands it on to its children, so that a process number that was given out again never makes us end a stranger.
marked() {
  local environment pid
  # Each of the file's lines ends with a zero byte; a process may end, or be somebody else's, while we look.
  { grep -lzxF -- "$1" /proc/[0-9]*/environ 2>/dev/null || true; } | while read -r environment; do
    pid=${environment//[^0-9]/}
    if [[ $pid != "$$" ]] && alive "$pid"; then
      echo "$pid"
    fi
  done
}

# wait_gone SECONDS PID...: waits until none of them runs; fails when the time is over.
wait_gone() {
  local deadline=$((SECONDS + $1)) pid
  shift
  for pid in "$@"; do
    while alive "$pid"; do
      if ((SECONDS >= deadline)); then
        return 1
      fi
      sleep 0.1
    done
  done
}

# Asks the process group to end, then makes it.
end_group() {
  kill -TERM -- "-$1" 2>/dev/null || true
  wait_gone "${2:-5}" "$1" || true
  kill -KILL -- "-$1" 2>/dev/null || true
}

# end_marked NAME=VALUE SECONDS: ends every process that carries the mark.
end_marked() {
  local mark=$1 seconds=$2 pids
  mapfile -t pids < <(marked "$mark")
  if ((${#pids[@]} == 0)); then
    return
  fi
  kill -TERM "${pids[@]}" 2>/dev/null || true
  if ! wait_gone "$seconds" "${pids[@]}"; then
    # Once more from the table: one of them may have started another meanwhile.
    mapfile -t pids < <(marked "$mark")
    if ((${#pids[@]} > 0)); then
      kill -KILL "${pids[@]}" 2>/dev/null || true
      wait_gone 5 "${pids[@]}" || true
    fi
  fi
}

# --- files -------------------------------------------------------------------------------------------------------

# Makes a folder that others can pass through without listing it.
passable_folder() {
  if [[ ! -d $1 ]]; then
    mkdir -p "$1"
    chmod 711 "$1"
  fi
}

# reason_in LOG [FROM]: why a program ended, by the last line in LOG from byte FROM on that says so; fails where none does.
# Our programs write "error: REASON", .NET "Unhandled exception. REASON", and PostgreSQL "initdb: error: REASON",
# "postgres: REASON" or "TIME [PID] FATAL:  REASON".
reason_in() {
  tail -c "+$((${2:-0} + 1))" "$1" 2>/dev/null \
    | sed -nE 's/^(error: |initdb: error: |postgres: |Unhandled exception\. |.*(FATAL|PANIC):  )//p' | tail -n 1 | grep .
}

# The size of a file in bytes; 0 where there is none.
size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# Keeps a log below 20 MB, and the part before it once. It's copied and emptied, not renamed: the process that writes
# it (appending) keeps it open.
bound_log() {
  local log=$1
  if (($(size_of "$log") > 20000000)); then
    cp -f "$log" "$log.1" && : >"$log"
  fi
}
