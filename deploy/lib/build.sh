# shellcheck shell=bash
# Builds the programs into DIR/app/Api, DIR/app/Worker and DIR/app/Training. What the compiler leaves is in DIR/build,
# not in the checkout (but for the page's): two data folders, and a build in an editor, don't get in each other's way.

BUILT_FROM=(Api Shared Training Worker deploy/programs.slnf deploy/lib/build.sh Directory.Build.props Directory.Packages.props global.json MlExperiments.sln)

# A line that changes with any source: names, sizes and times. Deleted files and older ones put back count too.
source_fingerprint() {
  local root=$1 page=$2
  (
    cd "$root" || exit
    pwd
    dotnet --version
    echo "page: $page; device: ${TorchDevice:-cpu}"
    find "${BUILT_FROM[@]}" -type d \( -name bin -o -name obj -o -name node_modules -o -name wwwroot \) -prune \
      -o -type f -printf '%p %s %T@\n' | LC_ALL=C sort
  ) | sha256sum
}

# start_publish ROOT DATA PAGE: a task. The analyzers, which take a third of the time, have their say in the tests' build.
start_publish() {
  start_task "$2/logs/build.log" dotnet publish "$1/deploy/programs.slnf" --configuration Release --artifacts-path "$2/build" \
    --verbosity quiet --nologo -p:UseAppHost=false -p:RunAnalyzers=false -p:Page="$3"
}

# build_programs ROOT DATA PAGE: publishes what changed since the last time; the page where that is true.
build_programs() {
  local root=$1 data=$2 page=$3 fingerprint program started
  fingerprint=$(source_fingerprint "$root" "$page")
  if [[ -f $data/app/built-from && $(<"$data/app/built-from") == "$fingerprint" ]]; then
    return
  fi
  say "Building the programs$([[ $page == false ]] || echo " and the page") (a minute or two the first time) ..."
  started=$SECONDS
  start_publish "$root" "$data" "$page"
  if ! wait_for_task; then
    local advice=
    complain "$(tail -n 60 "$data/logs/build.log")"
    if [[ $page == true ]]; then
      advice=" Where it is the page that fails, --no-page leaves it out."
    fi
    fail "The build failed (see above, and $data/logs/build.log).$advice"
  fi
  rm -rf "$data/app.new"
  mkdir "$data/app.new"
  for program in Api Worker Training; do
    # Hard links: the same files, at no cost.
    cp -rl "$data/build/publish/$program/release" "$data/app.new/$program" 2>/dev/null \
      || cp -r "$data/build/publish/$program/release" "$data/app.new/$program"
  done
  echo "$fingerprint" >"$data/app.new/built-from"
  rm -rf "$data/app"
  mv "$data/app.new" "$data/app"
  say "Built after $((SECONDS - started)) s."
}
