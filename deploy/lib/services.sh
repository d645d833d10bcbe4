# shellcheck shell=bash
# Starts the programs below DIR/app, restarts those that end, and stops them in order. Needs DATA, PORT and SLOTS,
# and ConnectionStrings__Database and Blobs__Folder in the environment.

SERVICES=() # in the order of their start: api, worker-1, ...
declare -A SERVICE_PID SERVICE_LOG SERVICE_STARTED SERVICE_DELAY SERVICE_DUE

# What every one of our processes carries in its environment, and its children too.
service_mark() { echo "MLEXPERIMENTS_RUN=$DATA"; }

start_service() {
  local name=$1 program=Worker log=$DATA/logs/$1.log arguments=()
  bound_log "$log"
  SERVICE_LOG[$name]=$(size_of "$log")
  (
    export MLEXPERIMENTS_RUN=$DATA
    # Garbage is collected after 2 MiB instead of the processor's cache: some 15 MiB less each.
    export DOTNET_GCgen0size=${DOTNET_GCgen0size:-0x200000}
    if [[ $name == api ]]; then
      program=Api
      # An argument: it wins over URLS and the like in the environment.
      arguments=(--urls "http://127.0.0.1:$PORT")
    else
      export Worker__Name=$name Worker__Slots=$SLOTS Worker__Folder=$DATA/scratch/$name
      mkdir -p "$Worker__Folder"
    fi
    cd "$DATA/app/$program" || exit
    # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop them in order. SIGTERM should we die
    # without a word.
    exec setsid setpriv --pdeathsig TERM -- dotnet "MlExperiments.$program.dll" "${arguments[@]}"
  ) >>"$log" 2>&1 </dev/null 9>&- &
  SERVICE_PID[$name]=$!
  SERVICE_STARTED[$name]=$SECONDS
  SERVICE_DUE[$name]=
  echo "$!" >"$DATA/run/$name.pid"
}

add_service() {
  SERVICES+=("$1")
  SERVICE_DELAY[$1]=1
  start_service "$1"
}

# Keeps a running service's log short, and forgets where this run's part of it began once that is gone.
bound_service_log() {
  local log=$DATA/logs/$1.log
  bound_log "$log"
  if (($(size_of "$log") < SERVICE_LOG[$1])); then
    SERVICE_LOG[$1]=0
  fi
}

# Ends what a dead service's session left.
bury_service() {
  local name=$1
  kill -KILL -- "-${SERVICE_PID[$name]}" 2>/dev/null || true
  # Collected here: elsewhere bash would describe, at length, which of its children was killed.
  wait "${SERVICE_PID[$name]}" 2>/dev/null || true
  rm -f "$DATA/run/$name.pid"
}

# Collects a service that has ended, and what its session left, a trainer for instance. Sets ENDED to why.
collect_service() {
  local name=$1 status=0
  wait "${SERVICE_PID[$name]}" 2>/dev/null || status=$?
  bury_service "$name"
  # 134 is SIGABRT, by which .NET ends after an unhandled exception.
  if ((status > 128 && status != 134)); then
    ENDED="It was ended by signal $((status - 128))."
  elif ! ENDED=$(reason_in "$DATA/logs/$name.log" "${SERVICE_LOG[$name]}"); then
    ENDED="It ended with status $status."
  fi
}

# Looks after one service: starts it again when it has died, after 1, 2, 4 ... 30 seconds while it doesn't last.
look_after() {
  local name=$1
  if [[ -n ${SERVICE_DUE[$name]} ]]; then
    if ((SECONDS >= SERVICE_DUE[$name])); then
      start_service "$name"
    fi
  elif ! alive "${SERVICE_PID[$name]}"; then
    collect_service "$name"
    if ((SECONDS - SERVICE_STARTED[$name] >= 60)); then
      SERVICE_DELAY[$name]=1
    fi
    say "$name ended: $ENDED (log: $DATA/logs/$name.log). It starts again in ${SERVICE_DELAY[$name]} s."
    SERVICE_DUE[$name]=$((SECONDS + SERVICE_DELAY[$name]))
    SERVICE_DELAY[$name]=$((SERVICE_DELAY[$name] * 2 > 30 ? 30 : SERVICE_DELAY[$name] * 2))
  fi
}

# stop_services SECONDS NAME...: all of them at the same time.
stop_services() {
  local seconds=$1 name deadline
  shift
  for name in "$@"; do
    kill -TERM "${SERVICE_PID[$name]}" 2>/dev/null || true
  done
  deadline=$((SECONDS + seconds))
  for name in "$@"; do
    while alive "${SERVICE_PID[$name]}" && ((SECONDS < deadline)) && [[ -z $HURRY ]]; do
      sleep 0.1
    done
    bury_service "$name"
  done
}

# HURRY is set by a second Ctrl-C: nobody gets time any more.
HURRY=
stop_all_services() {
  if ((${#SERVICES[@]} > 1)); then
    stop_services 30 "${SERVICES[@]:1}"
  fi
  if ((${#SERVICES[@]} > 0)); then
    stop_services 10 "${SERVICES[0]}"
  fi
}

# ask_api PATH [CURL-OPTION...]: with the key, if there is one; curl reads it from a file, since everybody may read arguments.
ask_api() {
  local path=$1
  shift
  curl --silent --noproxy '*' -H @<(printf '%s' "${Security__ApiKey:+X-Api-Key: $Security__ApiKey}") "$@" "http://127.0.0.1:$PORT$path"
}

# Whether the Api knows each of the workers that were started now, by its process number: their trainers run then.
workers_ready() {
  local name workers
  workers=$(ask_api '/api/workers?limit=100' -m 8 | tr '{}' '\n')
  for name in "${SERVICES[@]:1}"; do
    if ! grep -F "\"processId\":${SERVICE_PID[$name]}," <<<"$workers" | grep -qF '"status":"alive"'; then
      return 1
    fi
  done
}

# Waits until the Api is ready and all workers have started. If a service ends meanwhile, it ends the script with the reason: the service would not
# start the next time either.
wait_ready() {
  local deadline=$((SECONDS + 120)) answer status failed name log=$DATA/logs/api.log serves
  while true; do
    serves=
    if grep -q 'Application started' < <(tail -c "+$((SERVICE_LOG[api] + 1))" "$log"); then
      serves=1
    fi
    status=0
    # The body, then the status in a line of its own.
    answer=$(ask_api /health/ready -m 8 -w '\n%{http_code}') || status=$?
    for name in "${SERVICES[@]}"; do
      if ! alive "${SERVICE_PID[$name]}"; then
        collect_service "$name"
        fail "$name can't start: $ENDED (log: $DATA/logs/$name.log)"
      fi
    done
    case ${answer##*$'\n'} in
      200)
        if workers_ready; then
          return
        fi
        failed="Not all workers have started."
        ;;
      401) fail "The Api refuses the key in Security__ApiKey: set it to the key in the Api's settings (log: $log)" ;;
      503)
        failed=$(tr '{}' '\n' <<<"$answer" | sed -nE 's/.*"status":"failed","detail":"([^"]*)".*/\1/p' | tr '\n' ' ')
        ;;
      000)
        failed="It does not answer."
        # 7: nobody listens there.
        if ((status == 7)) && [[ -n $serves ]]; then
          fail "The Api does not listen on 127.0.0.1:$PORT: a setting such as Kestrel__Endpoints gives it another address (log: $log)"
        fi
        ;;
      *) fail "The Api answers $(tr '\n' ' ' <<<"$answer") to /health/ready (log: $log)" ;;
    esac
    if ((SECONDS >= deadline)); then
      fail "The service is not ready after 120 s: $failed (logs: $DATA/logs)"
    fi
    pause 0.2
  done
}

# Sleeps, but lets a signal in at once. Bash would describe here, at length, which of its children was killed meanwhile.
pause() {
  sleep "$1" 9>&- &
  wait $! 2>/dev/null || true
}
