# shellcheck shell=bash
# Starts the programs below DIR/app, starts those again that die, and stops them in order. Needs DATA, PORT and SLOTS,
# and ConnectionStrings__Database and Blobs__Folder in the environment.

SERVICES=() # in the order of their start: api, worker-1, ...
declare -A SERVICE_PID SERVICE_STARTED SERVICE_DELAY SERVICE_DUE

# What every one of our processes carries in its environment, and its children too.
service_mark() { echo "MLEXPERIMENTS_RUN=$DATA"; }

start_service() {
  local name=$1 program=Worker log=$DATA/logs/$1.log
  bound_log "$log"
  (
    export MLEXPERIMENTS_RUN=$DATA
    # Garbage is collected after 2 MiB instead of the processor's cache: some 15 MiB less each.
    export DOTNET_GCgen0size=${DOTNET_GCgen0size:-0x200000}
    if [[ $name == api ]]; then
      program=Api
      export ASPNETCORE_URLS=http://127.0.0.1:$PORT
    else
      export Worker__Name=$name Worker__Slots=$SLOTS Worker__Folder=$DATA/scratch/$name
      mkdir -p "$Worker__Folder"
    fi
    cd "$DATA/app/$program" || exit
    # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop them in order. SIGTERM should we die
    # without a word.
    exec setsid setpriv --pdeathsig TERM -- dotnet "MlExperiments.$program.dll"
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

# Ends what a dead service's session left, a trainer for instance.
bury_service() {
  local name=$1
  kill -KILL -- "-${SERVICE_PID[$name]}" 2>/dev/null || true
  rm -f "$DATA/run/$name.pid"
}

# Looks after one service: starts it again when it has died, after 1, 2, 4 ... 30 seconds while it doesn't last.
look_after() {
  local name=$1 status=0
  if [[ -n ${SERVICE_DUE[$name]} ]]; then
    if ((SECONDS >= SERVICE_DUE[$name])); then
      start_service "$name"
    fi
  elif ! alive "${SERVICE_PID[$name]}"; then
    wait "${SERVICE_PID[$name]}" 2>/dev/null || status=$?
    bury_service "$name"
    if ((SECONDS - SERVICE_STARTED[$name] >= 60)); then
      SERVICE_DELAY[$name]=1
    fi
    say "$name ended (status $status, log: $DATA/logs/$name.log). It starts again in ${SERVICE_DELAY[$name]} s."
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

# wait_ready: until the Api says that everything it needs is there. Fails, saying why, when it dies or takes too long.
wait_ready() {
  local deadline=$((SECONDS + 120)) answer name
  until answer=$(curl -s -m 8 --noproxy '*' --fail-with-body "http://127.0.0.1:$PORT/health/ready"); do
    if ! alive "${SERVICE_PID[api]}" || ((SECONDS >= deadline)); then
      complain "$answer"
      return 1
    fi
    pause 0.2
    for name in "${SERVICES[@]:1}"; do
      look_after "$name"
    done
  done
}

# Sleeps, but lets a signal in at once. Bash would describe here, at length, which of its children was killed meanwhile.
pause() {
  sleep "$1" 9>&- &
  wait $! 2>/dev/null || true
}
