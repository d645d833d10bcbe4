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
PATIENCE=10m # a single test that takes longer hangs
WORK= # a temporary folder: the database, the results, and what the tests leave

PASSED=0
FAILED=0
SKIPPED=0

# Tests throw their data away, and every fixture has a database of its own.
FAST_SETTINGS=(max_connections=300 shared_buffers=128MB fsync=off full_page_writes=off synchronous_commit=off)

usage() {
  cat <<'END'
Usage: tests/run.sh [options] [PROJECT...]

Installs the Debian packages and the Node.js tools that are missing, starts a PostgreSQL of its own, builds the solution
and runs the tests of all projects, or of those named (Api.Tests, Worker.Tests, ...). The last line reads
"N passed, N failed, N skipped".

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

# count_check WHAT COMMAND...: one more test, which the command is.
count_check() {
  local what=$1
  shift
  if run_quietly "$WORK/page.log" "$@"; then
    PASSED=$((PASSED + 1))
  else
    say "Failed: $what (see above)"
    FAILED=$((FAILED + 1))
  fi
}

# The page's own checks: types that fit the service's description, lint, and the tests of what is pure.
check_page() {
  local folder=$ROOT/Api/ClientApp started=$SECONDS before=$((PASSED + FAILED)) passed=0 failed=0
  if [[ ! -f $ROOT/Api/wwwroot/index.html ]]; then
    say "Failed: the page wasn't built; $folder needs Node.js 18 or later, and npm ci that succeeds"
    FAILED=$((FAILED + 1))
    return
  fi
  dotnet "$ROOT/Api/bin/Debug/net10.0/MlExperiments.Api.dll" openapi "$folder/src/api/openapi.json"
  run_quietly "$WORK/page.log" npm run --silent --prefix "$folder" api || fail "The page's types couldn't be made (see above)."
  count_check "the page's types" npm run --silent --prefix "$folder" check
  count_check "the page's lint" npm run --silent --prefix "$folder" lint
  run_quietly "$WORK/page.log" npm run --silent --prefix "$folder" test -- --reporter=default --reporter=json --outputFile.json="$WORK/page.json" || true
  if [[ -s $WORK/page.json ]]; then
    passed=$(jq .numPassedTests "$WORK/page.json")
    failed=$(jq '.numFailedTests + ([.testResults[] | select(.status == "failed" and (.assertionResults | length) == 0)] | length)' "$WORK/page.json")
  fi
  if ((passed + failed == 0)); then
    failed=1
  fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
  say "Page: $((PASSED + FAILED - before)) checks in $((SECONDS - started)) s"
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

# run_project NAME: runs its tests and counts what the results file says. A host that crashed or hung, or a project that
# has no test at all, counts as one failure more, whatever the results say.
run_project() {
  local name=$1 status=0 started=$SECONDS log=$WORK/$1.log results=$WORK/results/$1.trx options=()
  local passed=0 failed=0 skipped=0
  if [[ -n $FILTER ]]; then
    options=(--filter "$FILTER")
  fi
  # The log is shown where it explains a failure, not for each test that fails.
  run_quietly "$log" dotnet test "$ROOT/tests/$name/$name.csproj" --configuration Debug --no-build --nologo --verbosity quiet \
    --results-directory "$WORK/results" --logger "trx;LogFileName=$name.trx" \
    --blame-hang-timeout "$PATIENCE" --blame-hang-dump-type none "${options[@]}" 2>/dev/null || status=$?

  if [[ -s $results ]]; then
    awk -f "$ROOT/tests/results.awk" "$results" >"$WORK/$name.txt"
    read -r passed failed skipped < <(tail -n 1 "$WORK/$name.txt")
    sed '$d' "$WORK/$name.txt"
  fi
  if grep -qF 'Test Run Aborted' "$log" \
    || { ((failed == 0 && (status != 0 || passed + skipped == 0))) && ! no_match "$status" "$((passed + skipped))"; }; then
    tail -n 40 "$log"
    say "Failed: $name ended with status $status after $((passed + failed + skipped)) tests (see above)"
    failed=$((failed + 1))
  fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
  SKIPPED=$((SKIPPED + skipped))
  if [[ -s $WORK/faults.md ]]; then
    say "$(<"$WORK/faults.md")"
    rm "$WORK/faults.md"
  fi
  say "$name: $passed passed, $failed failed, $skipped skipped in $((SECONDS - started)) s"
}

# With a filter, a project in which nothing matches is no failure.
no_match() {
  [[ -n $FILTER ]] && (($1 == 0 && $2 == 0))
}

run_projects() {
  local name
  for name in "${PROJECTS[@]}"; do
    say "Running $name ..."
    run_project "$name"
    # No test may leave a process behind.
    end_marked "MLEXPERIMENTS_TESTS=$WORK" 5
  done
}

# Runs at every end of the script; its line is the last one.
finish() {
  local status=$?
  trap '' INT TERM HUP
  set +e
  end_task
  end_marked "MLEXPERIMENTS_TESTS=$WORK" 5
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
  if needs_page && [[ -z $FILTER ]]; then
    check_page
  fi
  start_database
  mkdir "$WORK/tmp" "$WORK/results"
  export TMPDIR=$WORK/tmp MLEXPERIMENTS_TESTS=$WORK
  run_projects
}

main "$@"
