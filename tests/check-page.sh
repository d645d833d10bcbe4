#!/usr/bin/env bash
# The page's own checks: types that fit the service's description, lint, and the unit tests. tests/run.sh starts it when
# all is built. Writes what failed, and a last line "PASSED FAILED SKIPPED", to results.txt in MLEXPERIMENTS_TESTS.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PAGE=$ROOT/Api/ClientApp
RESULTS=$MLEXPERIMENTS_TESTS/results.txt
PASSED=0
FAILED=0
# An error that ends this script counts as one failure more.
trap 'status=$?; echo "$PASSED $((FAILED + (status != 0))) 0" >>"$RESULTS"' EXIT

# npm_run NAME [ARGUMENT...]: a script of the page's package.json.
npm_run() {
  local name=$1
  shift
  npm run --silent --prefix "$PAGE" "$name" -- "$@"
}

# check SCRIPT WHAT: one more test, which the script is.
check() {
  local output
  if output=$(npm_run "$1" 2>&1); then
    PASSED=$((PASSED + 1))
  else
    FAILED=$((FAILED + 1))
    printf 'Failed: %s\n%s\n' "$2" "$(tail -n 60 <<<"$output")" >>"$RESULTS"
  fi
}

# The unit tests, as many as there are.
run_tests() {
  local report=$TMPDIR/page.json output passed=0 failed=0
  output=$(npm_run test --reporter=default --reporter=json --outputFile.json="$report" 2>&1) || true
  if [[ -s $report ]]; then
    passed=$(jq .numPassedTests "$report")
    failed=$(jq '.numFailedTests + ([.testResults[] | select(.status == "failed" and (.assertionResults | length) == 0)] | length)' "$report")
  fi
  if ((passed + failed == 0)); then
    failed=1
  fi
  if ((failed > 0)); then
    printf 'Failed: tests of the page\n%s\n' "$(tail -n 60 <<<"$output")" >>"$RESULTS"
  fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
}

if [[ ! -f $ROOT/Api/wwwroot/index.html ]]; then
  echo "The page was not built: $PAGE needs Node.js 18 or later, and npm ci that succeeds." >&2
  exit 1
fi
dotnet "$ROOT/Api/bin/Debug/net10.0/MlExperiments.Api.dll" openapi "$PAGE/src/api/openapi.json"
npm_run api
check check "the page's types"
check lint "the page's lint"
run_tests
