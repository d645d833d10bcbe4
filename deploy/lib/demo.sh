# shellcheck shell=bash
# Fills a fresh installation with digits that the project draws itself, and 27 small experiments. Every step may be
# repeated: images and experiments that are there already are recognized, so an interrupted demo is just run again.

DEMO_MODEL='Demo digits'
JSON='Content-Type: application/json'

# call METHOD PATH [CURL-OPTION...]: prints the answer's body; fails with it on stderr when the status isn't 2xx.
call() {
  local method=$1 path=$2 answer
  shift 2
  if ! answer=$(ask_api "$path" -m 600 --show-error --fail-with-body -X "$method" "$@" 2>&1); then
    complain "$method $path: $answer"
    return 1
  fi
  printf '%s' "$answer"
}

# The id of the object in a JSON text that has the given name: with an object per line, there's no need for a parser.
id_of_named() {
  tr '{}' '\n' | grep -F "\"name\":\"$1\"" | sed -nE 's/.*"id": ?"?([^",}]+).*/\1/p' | head -n 1
}

fill_demo() {
  local data=$1 folder=$1/demo id key=
  if [[ -f $folder/done ]]; then
    return
  fi
  rm -rf "$folder"
  mkdir -p "$folder"
  say "Drawing the digits of the demo ..."
  if ! run_quietly "$data/logs/demo.log" dotnet "$data/app/Training/MlExperiments.Training.dll" digits \
    --output "$folder/digits.zip" --count 2000; then
    complain "The digits couldn't be drawn (see above)."
    return 1
  fi
  id=$(call GET '/api/models?limit=100' | id_of_named "$DEMO_MODEL") || id=
  if [[ -z $id ]]; then
    id=$(call POST /api/models -H "$JSON" --data "{\"name\":\"$DEMO_MODEL\"}" | id_of_named "$DEMO_MODEL") || return 1
  fi
  call POST "/api/models/$id/images" -F "files=@$folder/digits.zip" >/dev/null || return 1
  call POST "/api/models/$id/experiments" \
    -H "$JSON" --data '{"name":"Demo","space":{"learningRate":[0.001,0.01,0.1],"layers":[1,2,4],"steps":[100,200,400]}}' >/dev/null || return 1
  rm -f "$folder/digits.zip"
  touch "$folder/done"
  if [[ -n ${Security__ApiKey:-} ]]; then
    # Its name: the secret isn't for a terminal.
    # shellcheck disable=SC2016
    key=' -H "X-Api-Key: $Security__ApiKey"'
  fi
  say "Demo:    27 experiments train now. Watch them:  curl -s$key 'http://127.0.0.1:$PORT/api/models/$id/experiments?sort=accuracy&order=desc&limit=5'"
}
