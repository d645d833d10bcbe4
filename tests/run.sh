#!/usr/bin/env bash
# Sets up and runs all tests on this machine: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
for part in common packages postgres; do
  # shellcheck source=/dev/null
  . "$ROOT/deploy/lib/$part.sh"
done

PROJECTS=()
FILTER=
PATIENCE=5m # a single test that takes longer hangs
WORK= # a temporary folder: the database, the results, and what the tests leave

# Projects run side by side, since most tests wait: for processes to start, leases to expire, browsers. Those that take
# longest start first. Tests of the category Alone, which measure time or memory or make the machine busy, run by
# themselves afterwards.
AT_ONCE=3
LONGEST_FIRST=(Faults.Tests EndToEnd.Tests Worker.Tests Training.Tests Api.Tests)
declare -A RUNNING=() # the runs that have not ended, by the process of each
declare -A STARTED=() # when each run began, in seconds of this script

PASSED=0
FAILED=0
SKIPPED=0

# Tests throw their data away, and every fixture has a database of its own.
FAST_SETTINGS=(max_connections=600 shared_buffers=128MB fsync=off full_page_writes=off synchronous_commit=off)

usage() {
  cat <<'END'
Usage: tests/run.sh [options] [PROJECT...]

Installs the Debian packages and the Node.js tools that are missing, starts a PostgreSQL of its own, builds the solution
and runs the tests of all projects, or of those named (Api.Tests, Worker.Tests, ...), three projects at a time. The last
line reads "N passed, N failed, N skipped".

  --filter EXPR   only the tests that match, for example --filter FullyQualifiedName~Sampler
  --long          also those that take minutes
  --no-node       without those that need Node.js: the page, the Postman collection, and the check of the OpenAPI document
  --help          this text
END
}

read_arguments() {
  while (($# > 0)); do
    case $1 in
      --help | -h)
        usage
        exit 0
        ;;
      --long)
        export MLEXPERIMENTS_LONG=1
        PATIENCE=60m
        ;;
      --no-node) export MLEXPERIMENTS_WITHOUT_NODE=1 ;;
      --filter)
        if (($# < 2)) || [[ -z $2 ]]; then
          misused "--filter takes an expression."
        fi
        FILTER=$2
        shift
        ;;
      --filter=*) FILTER=${1#*=} ;;
      -*) misused "Unknown option '$1'." ;;
      *)
        if [[ ! -f $ROOT/tests/$1/$1.csproj ]]; then
          misused "There is no test project '$1'."
        fi
        PROJECTS+=("$1")
        ;;
    esac
    shift
  done
  if ((${#PROJECTS[@]} == 0)); then
    mapfile -t PROJECTS < <(cd "$ROOT/tests" && printf '%s\n' *.Tests/*.Tests.csproj | sed 's|/.*||')
  fi
  order_projects
}

order_projects() {
  local project ordered=()
  for project in "${LONGEST_FIRST[@]}" "${PROJECTS[@]}"; do
    if [[ " ${PROJECTS[*]} " == *" $project "* && " ${ordered[*]} " != *" $project "* ]]; then
      ordered+=("$project")
    fi
  done
  PROJECTS=("${ordered[@]}")
}

# Whether any of the projects runs Node.js tools.
needs_node() {
  [[ -z ${MLEXPERIMENTS_WITHOUT_NODE:-} && " ${PROJECTS[*]} " =~ ' '(EndToEnd|Page).Tests' ' ]]
}

needs_page() {
  [[ -z ${MLEXPERIMENTS_WITHOUT_NODE:-} && " ${PROJECTS[*]} " == *' Page.Tests '* ]]
}

# What only tests need; node and npm may have come from elsewhere than Debian.
need_test_packages() {
  local packages=(jq)
  if needs_node && ! command -v npm >/dev/null; then
    packages+=(nodejs npm)
  fi
  if needs_page; then
    packages+=(chromium)
  fi
  if [[ " ${PROJECTS[*]} " == *' Training.Tests '* ]]; then
    # Another PyTorch to compare the networks with.
    packages+=(python3-torch python3-torchvision)
  fi
  if [[ " ${PROJECTS[*]} " == *' Faults.Tests '* ]]; then
    # Clocks that are wrong, and a library that fails flushes.
    packages+=(faketime g++)
  fi
  # packages.sh has those that every machine needs.
  # shellcheck disable=SC2153
  need_packages "${PACKAGES[@]}" "${packages[@]}"
}

# install_node_tools FOLDER: those that its package-lock.json names, unless they are what it named the last time.
install_node_tools() {
  local folder=$ROOT/$1 version major stamp
  version=$(node --version)
  major=${version#v}
  if ((${major%%.*} < 18)); then
    fail "Node.js 18 or later is needed, and this is $version; --no-node leaves out the tests that need it."
  fi
  stamp="$version $(sha256sum <"$folder/package-lock.json")"
  if [[ -f $folder/node_modules/installed-from && $(<"$folder/node_modules/installed-from") == "$stamp" ]]; then
    return
  fi
  say "Installing the Node.js tools of $1 (a minute, once) ..."
  if ! run_quietly "$WORK/npm.log" npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund; then
    fail "The tools couldn't be installed (see above); --no-node leaves out the tests that need them."
  fi
  echo "$stamp" >"$folder/node_modules/installed-from"
}

# Every script must at least parse; shellcheck says more, where it's installed.
check_scripts() {
  local scripts=() script
  mapfile -t scripts < <(cd "$ROOT" && find deploy tests postman .ci -type d \( -name bin -o -name obj -o -name node_modules \) -prune \
    -o -type f \( -name '*.sh' -o -path .ci/run \) -print | sort)
  for script in "${scripts[@]}"; do
    if ! bash -n "$ROOT/$script"; then
      say "Failed: $script doesn't parse (see above)"
      FAILED=$((FAILED + 1))
    fi
  done
  if command -v shellcheck >/dev/null && ! (cd "$ROOT" && shellcheck -x "${scripts[@]}"); then
    say "Failed: shellcheck found something (see above)"
    FAILED=$((FAILED + 1))
  fi
}

start_database() {
  pg_start "$WORK/database" "$WORK/postgres.log" "${FAST_SETTINGS[@]}"
  MLEXPERIMENTS_TEST_POSTGRES=$(pg_connection)
  export MLEXPERIMENTS_TEST_POSTGRES
}

build() {
  say "Building ..."
  if [[ -d $ROOT/Api/obj && ! -w $ROOT/Api/obj ]]; then
    fail "The build's folders belong to $(stat -c %U "$ROOT/Api/obj"): run this as that user, or in a clone of your own."
  fi
  if ! run_quietly "$WORK/build.log" dotnet build "$ROOT/MlExperiments.sln" --configuration Debug --verbosity quiet --nologo; then
    fail "The build failed (see above)."
  fi
}

# start_run RUN COMMAND...: waits for a place, then runs a project's tests in the background, in a folder of their own. Every process that they
# start carries its name as a mark.
start_run() {
  local run=$1
  shift
  while ((${#RUNNING[@]} >= AT_ONCE)); do
    wait_for_run
  done
  say "Running $run ..."
  mkdir -p "$WORK/$run/tmp"
  start_task "$WORK/$run/log" env "MLEXPERIMENTS_TESTS=$WORK/$run" "TMPDIR=$WORK/$run/tmp" "$@"
  RUNNING[$TASK_PID]=$run
  STARTED[$run]=$SECONDS
  TASK_PID=
}

# start_tests PROJECT RUN CONDITION: those of a project's tests that meet the condition and the filter.
start_tests() {
  local project=$1 run=$2 condition=$3
  if [[ -n $FILTER ]]; then
    condition="($FILTER)&$condition"
  fi
  start_run "$run" dotnet test "$ROOT/tests/$project/$project.csproj" --configuration Debug --no-build --nologo --verbosity quiet \
    --results-directory "$WORK/$run" --logger "trx;LogFileName=results.trx" \
    --blame-hang-timeout "$PATIENCE" --blame-hang-dump-type none --filter "$condition"
}

# wait_for_run: waits until one of the runs ends, and counts and prints what came of it.
wait_for_run() {
  local process status=0 run
  wait -n -p process "${!RUNNING[@]}" || status=$?
  run=${RUNNING[$process]}
  # No test may leave a process behind.
  end_marked "MLEXPERIMENTS_TESTS=$WORK/$run" 5
  unset "RUNNING[$process]"
  report_run "$run" "$status"
}

# report_run RUN STATUS: counts what the results file says. A host that crashed or hung, or a run that has no test at all,
# counts as one failure more, whatever the results say.
report_run() {
  local run=$1 status=$2 folder=$WORK/$1 passed=0 failed=0 skipped=0
  if [[ -s $folder/results.trx ]]; then
    awk -f "$ROOT/tests/results.awk" "$folder/results.trx" >"$folder/results.txt"
  fi
  if [[ -s $folder/results.txt ]]; then
    read -r passed failed skipped < <(tail -n 1 "$folder/results.txt")
    sed '$d' "$folder/results.txt"
  fi
  # The log is shown where it explains a failure, not for each test that fails.
  if grep -qF 'Test Run Aborted' "$folder/log" \
    || { ((failed == 0 && (status != 0 || passed + skipped == 0))) && ! no_match "$status" "$((passed + skipped))"; }; then
    tail -n 40 "$folder/log"
    say "Failed: $run ended with status $status after $((passed + failed + skipped)) tests (see above)"
    failed=$((failed + 1))
  fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
  SKIPPED=$((SKIPPED + skipped))
  if [[ -s $folder/faults.md ]]; then
    say "$(<"$folder/faults.md")"
  fi
  say "$run: $passed passed, $failed failed, $skipped skipped in $((SECONDS - STARTED[$run])) s"
}

# With a filter, a run in which nothing matches is no failure.
no_match() {
  [[ -n $FILTER ]] && (($1 == 0 && $2 == 0))
}

run_projects() {
  local project
  for project in "${PROJECTS[@]}"; do
    start_tests "$project" "$project" 'TestCategory!=Alone'
  done
  if needs_page && [[ -z $FILTER ]]; then
    start_run page-checks "$ROOT/tests/check-page.sh"
  fi
  while ((${#RUNNING[@]} > 0)); do
    wait_for_run
  done
  for project in "${PROJECTS[@]}"; do
    if grep -rqF 'Category("Alone")' --include='*.cs' "$ROOT/tests/$project"; then
      start_tests "$project" "$project-alone" 'TestCategory=Alone'
      wait_for_run
    fi
  done
}

# Ends the runs that a signal interrupted.
end_runs() {
  local process
  for process in "${!RUNNING[@]}"; do
    kill -TERM -- "-$process" 2>/dev/null
  done
  for process in "${!RUNNING[@]}"; do
    end_group "$process"
    end_marked "MLEXPERIMENTS_TESTS=$WORK/${RUNNING[$process]}" 5
  done
}

# Runs at every end of the script; its line is the last one.
finish() {
  local status=$?
  trap '' INT TERM HUP
  set +e
  end_task
  end_runs
  pg_stop
  if [[ -n $PG_DATA && $PG_DATA != "$WORK"/* ]]; then
    rm -rf "${PG_DATA%/*}"
  fi
  rm -rf "$WORK"
  if ((status != 0 || PASSED + SKIPPED == 0)) && ((FAILED == 0)); then
    FAILED=1
  fi
  say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
  exit $((FAILED > 0 && status == 0 ? 1 : status))
}

main() {
  heed_interrupts "$@"
  read_arguments "$@"
  WORK=$(mktemp -d --tmpdir mlexperiments-tests.XXXXXX)
  chmod 711 "$WORK"
  trap '' PIPE
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap finish EXIT

  need_test_packages
  need_dotnet "$ROOT"
  check_scripts
  if needs_node; then
    install_node_tools postman
  fi
  build
  start_database
  ulimit -S -d $((8 * 1024 * 1024)) # KiB of a process: a test that takes memory without end fails, and the machine keeps its own
  run_projects
}

main "$@"
