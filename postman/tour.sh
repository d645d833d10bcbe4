#!/usr/bin/env bash
# Walks through the whole service with curl: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
API=http://127.0.0.1:8080
IMAGES=
FULL=
KEEP=

WORK= # a temporary folder
MODEL= # the model's id, while there is one
STALLED_SECONDS=300 # without any movement for so long, nobody trains

usage() {
  cat <<'END'
Usage: postman/tour.sh [options]

Walks through the main parts of the service: makes a model, uploads images, generates 27 experiments, has them trained, compares
them, names the best parameters, and classifies an image with them. It takes its model away again in the end.

  --api URL      where the service is (default: http://127.0.0.1:8080)
  --images ZIP   labelled images, a folder for each class (default: 2000 digits, drawn now)
  --full         the default grid with 1000 to 4000 steps, which takes minutes, instead of a quick one
  --keep         leave the model there
  --help         this text

Where the service has an API key, give it as MLEXPERIMENTS_API_KEY. Needs curl and jq.
END
}

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

read_arguments() {
  while (($# > 0)); do
    case $1 in
      --api | --images)
        if (($# < 2)) || [[ -z $2 ]]; then
          fail "$1 takes a value. Try 'tour.sh --help'."
        fi
        if [[ $1 == --api ]]; then API=${2%/}; else IMAGES=$2; fi
        shift
        ;;
      --full) FULL=1 ;;
      --keep) KEEP=1 ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) fail "Unknown option '$1'. Try 'tour.sh --help'." ;;
    esac
    shift
  done
  if [[ -n $IMAGES && ! -r $IMAGES ]]; then
    fail "$IMAGES can't be read."
  fi
}

# --- calls -------------------------------------------------------------------------------------------------------

# call METHOD PATH [CURL-OPTION...]: prints the answer. Where it's a problem, says which, and the tour is over.
call() {
  local method=$1 path=$2 answer status
  shift 2
  if ! answer=$(request "$method" "$path" -w '\n%{http_code}' "$@" 2>&1); then
    fail "$method $path: ${answer%$'\n'*}"
  fi
  status=${answer##*$'\n'}
  answer=${answer%$'\n'*}
  if [[ $status != 2* ]]; then
    fail "$method $path: $status: $(jq -r '.detail // ([.checks[] | select(.status == "failed").detail] | join(" "))' <<<"$answer" 2>/dev/null || printf '%s' "$answer")"
  fi
  printf '%s' "$answer"
}

# Straight to a service on this machine, whatever proxy is set.
request() {
  local method=$1 path=$2 key=()
  shift 2
  if [[ -n ${MLEXPERIMENTS_API_KEY:-} ]]; then
    # On standard input: arguments can be seen by others.
    key=(--config -)
  fi
  curl -sS --noproxy 127.0.0.1,localhost -X "$method" "${key[@]}" "$@" "$API$path" \
    <<<"header = \"Authorization: Bearer ${MLEXPERIMENTS_API_KEY:-}\""
}

post_json() {
  call POST "$1" -H 'Content-Type: application/json' --data "$2"
}

# --- what is seen ------------------------------------------------------------------------------------------------

title() {
  printf '\n%s\n' "$*"
}

show() {
  printf '  %s\n' "$*"
}

# show_json JSON FILTER: what jq makes of it, a line each. The losses of a run that diverged are null.
show_json() {
  jq -r "def short: if . then . * 1e4 | round / 1e4 else \"not finite\" end; $2" <<<"$1" | sed 's/^/  /'
}

# show_call FILTER METHOD PATH [CURL-OPTION...]: what jq makes of the answer.
show_call() {
  local filter=$1 answer
  shift
  answer=$(call "$@")
  show_json "$answer" "$filter"
}

# progress STUDY SECONDS: a bar, on a terminal in one line.
progress() {
  local line
  line=$(jq -r --argjson seconds "$2" '
    (.progress * 30 | floor) as $done
    | "[\("#" * $done // "")\("." * (30 - $done) // "")] \(.progress * 100 | floor) %, \(.experiments.completed) of \([.experiments[]] | add) completed, "
      + "\($seconds) s" + (if .estimatedSecondsLeft then ", about \(.estimatedSecondsLeft) s left" else "" end)' <<<"$1")
  if [[ -t 1 ]]; then
    printf '\r\033[K  %s' "$line"
  else
    show "$line"
  fi
}

# wait_for STUDY-ID: until none of its experiments is queued or running. Nothing depends on this loop.
wait_for() {
  local study moved before='' since=$SECONDS still=$SECONDS
  while true; do
    study=$(call GET "/api/studies/$1")
    moved=$(jq -c '[.progress, .experiments]' <<<"$study")
    if [[ $moved != "$before" ]]; then
      before=$moved
      still=$SECONDS
      progress "$study" $((SECONDS - since))
    fi
    if jq -e '.experiments.queued + .experiments.running == 0' <<<"$study" >/dev/null; then
      break
    fi
    if ((SECONDS - still > STALLED_SECONDS)); then
      fail "Nothing has moved for $STALLED_SECONDS s. Is a worker alive? $API/health/ready says."
    fi
    sleep 1
  done
  if [[ -t 1 ]]; then
    echo
  fi
  if ! jq -e '.experiments.completed == ([.experiments[]] | add)' <<<"$study" >/dev/null; then
    fail "Not all were completed: $(jq -c .experiments <<<"$study")"
  fi
}

# --- the tour ----------------------------------------------------------------------------------------------------

look_at_the_service() {
  title 'The service'
  show_call '[.name + " " + .version, .database, .jobEngine] + .torchEngines | join(", ")' GET /api/about
  show_call '.checks[] | "\(.name): \(.detail)"' GET /health/ready
}

make_model() {
  local name
  name="Tour $(date +%Y-%m-%dT%H:%M:%S.%N)"
  title 'A model'
  MODEL=$(post_json /api/models "{\"name\": \"$name\"}" | jq -r .id)
  show "$name: $MODEL"
}

upload_images() {
  local uploaded image label
  title 'Images'
  if [[ -z $IMAGES ]]; then
    show 'Drawing 2000 digits ...'
    IMAGES=$WORK/digits.zip
    dotnet run --project "$ROOT/Training" -- digits --output "$IMAGES" >"$WORK/digits.log" 2>&1 || fail "$(<"$WORK/digits.log")"
  fi
  uploaded=$(call POST "/api/models/$MODEL/images" -F "files=@$IMAGES")
  if jq -e '.accepted == 0' <<<"$uploaded" >/dev/null; then
    fail "$IMAGES has no image: $(jq -r '.refused[0] | "\(.file): \(.reason)"' <<<"$uploaded")"
  fi
  show_json "$uploaded" '"\(.accepted) accepted, \(.duplicates) duplicates, \(.refusedCount) refused"'

  # One of them by itself: downloaded, and sent again with its label.
  image=$(call GET "/api/models/$MODEL/images?limit=1" | jq '.items[0]')
  label=$(jq -r .label <<<"$image")
  request GET "$(jq -r .content <<<"$image")" --fail -o "$WORK/image"
  show "One of them again, as a file with the label $label:"
  show_call '"\(.accepted) accepted, \(.duplicates) duplicates"' \
    POST "/api/models/$MODEL/images" -F "label=$label" -F "split=$(jq -r .split <<<"$image")" -F "files=@$WORK/image"
  show_call '.notTrainable // "\(.classes | length) classes; \(.resolved.train) images train, \(.resolved.validation) validate, \(.resolved.test) test"' \
    GET "/api/models/$MODEL/images/summary"
}

run_experiments() {
  local grid study
  title 'Experiments'
  if [[ -n $FULL ]]; then
    grid='{"name": "Default grid", "start": false}'
  else
    grid='{"name": "Quick grid", "start": false, "fixed": {"filters": 4, "denseUnits": 16},
           "space": {"learningRate": [0.001, 0.01, 0.1], "layers": [1, 2, 4], "steps": [20, 50, 100]}}'
  fi
  study=$(post_json "/api/models/$MODEL/experiments" "$grid")
  show_json "$study" '"\(.experiments | length) drafts, which take \(.trajectories) trainings"'
  show_call '"\(.queued) queued"' POST "/api/models/$MODEL/train"
  wait_for "$(jq -r .id <<<"$study")"
}

compare_results() {
  local list id best
  title 'Results'
  list=$(call GET "/api/models/$MODEL/experiments?sort=accuracy&order=desc&limit=5")
  show_json "$list" '.items[] | "\(.accuracy | short): \(.name), in \(.durationSeconds | short) s"'
  id=$(jq -r '.items[0].id' <<<"$list")
  show_call '"The first is number \(.number), trained by \(.worker) from step \(.attempts[-1].fromStep) on"' GET "/api/experiments/$id"
  show_call '.curves | to_entries[] | "\(.key): \([.value[] | "\(.value | short) at step \(.step)"] | join(", "))"' \
    GET "/api/experiments/$id/metrics?maxPoints=5"

  title 'The best parameters'
  best=$(call GET "/api/models/$MODEL/best")
  show_json "$best" '.parameters | "learningRate \(.learningRate), layers \(.layers), steps \(.steps)"'
  show_json "$best" '"accuracy \(.accuracy | short)"'
}

classify_image() {
  title 'A prediction'
  show_call 'if .label then "The image shows \(.label), by \(.confidence * 100 | floor) %" else "No answer yet: it is \(.status)" end' \
    POST "/api/models/$MODEL/predictions?wait=30" -F "image=@$WORK/image"
}

look_at_the_work() {
  title 'Studies and workers'
  show_call '.items[] | "\(.name), \(.createdAt)"' GET "/api/studies?modelId=$MODEL"
  show_call '.items[] | select(.status == "alive") | "\(.name): \(.busySlots) of \(.slots) slots busy"' GET /api/workers
}

make_a_mistake() {
  local problem
  title 'What a mistake is answered with'
  problem=$(request POST /api/models -H 'Content-Type: application/json' --data '{"name": "Digits", "colour": "red"}')
  show_json "$problem" '"\(.status): \(.detail)"'
}

# Runs at every end of the tour.
finish() {
  local status=$?
  trap - EXIT
  if [[ -n $MODEL ]]; then
    if [[ -n $KEEP ]]; then
      show "The model stays: $API/api/models/$MODEL"
    elif request DELETE "/api/models/$MODEL" --fail >/dev/null && ((status == 0)); then
      title 'The model is deleted again.'
    fi
  fi
  rm -rf "$WORK"
  exit "$status"
}

main() {
  local tool
  read_arguments "$@"
  for tool in curl jq; do
    command -v "$tool" >/dev/null || fail "This needs $tool: sudo apt-get install $tool"
  done
  WORK=$(mktemp -d --tmpdir mlexperiments-tour.XXXXXX)
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap finish EXIT

  look_at_the_service
  make_model
  upload_images
  run_experiments
  compare_results
  classify_image
  look_at_the_work
  make_a_mistake
}

main "$@"
