# shellcheck shell=bash
# What the machine must have: Debian packages (installed when missing), and the .NET SDK (only checked).

# One requirement per word; a|b|c are names of the same thing in different releases, the first one that exists wins.
PACKAGES=(
  ca-certificates
  curl
  'libmimalloc2.0|libmimalloc3'
  'postgresql-15|postgresql-16|postgresql-17|postgresql-18'
)

installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

any_installed() {
  local name
  for name in ${1//|/ }; do
    if installed "$name"; then
      return
    fi
  done
  return 1
}

# The first of the names that apt can install; the first of all when it knows none, for a message that makes sense.
installable() {
  local name
  for name in ${1//|/ }; do
    # Not `apt-cache show`, which also knows names that only other packages mention.
    if [[ $(LC_ALL=C apt-cache policy "$name" 2>/dev/null) =~ 'Candidate: '[^\(] ]]; then
      echo "$name"
      return
    fi
  done
  echo "${1%%|*}"
}

# Sets AS_ROOT to what runs a command as root: nothing, or sudo. Fails when there is no way.
AS_ROOT=()
find_root() {
  if ((EUID == 0)); then
    AS_ROOT=()
  elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]; }; then
    AS_ROOT=(sudo)
  else
    return 1
  fi
}

# Debian's PostgreSQL package creates a cluster and starts it on port 5432. We only want its programs, so it's told
# not to, for the time of the installation. A cluster that's there already is left alone.
CREATE_NO_CLUSTER=/etc/postgresql-common/createcluster.d/zz-mlexperiments.conf

apt_quietly() {
  local setting settings=(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8)
  # sudo starts with an empty environment, and apt may need the proxy.
  for setting in http_proxy https_proxy no_proxy; do
    if [[ -n ${!setting:-} ]]; then
      settings+=("$setting=${!setting}")
    fi
  done
  # On a machine that has just started, the nightly upgrade may hold the lock: wait for it.
  "${AS_ROOT[@]}" env "${settings[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" 9>&-
}

allow_cluster() {
  "${AS_ROOT[@]}" rm -f "$CREATE_NO_CLUSTER"
}

# Reads apt's lists again; once is enough.
LISTS_READ=
read_lists() {
  local errors
  LISTS_READ=1
  # A single source that fails need not matter; the installation will tell.
  errors=$(apt_quietly update 2>&1) || complain "apt-get update reported: $(tail -n 3 <<<"$errors")"
}

# In a shell of its own: its trap removes what it made, also after Ctrl-C.
install_packages() (
  log=$(mktemp)
  trap 'rm -f "$log"; allow_cluster' EXIT
  "${AS_ROOT[@]}" mkdir -p "${CREATE_NO_CLUSTER%/*}"
  # shellcheck disable=SC2016
  "${AS_ROOT[@]}" sh -c 'echo "create_main_cluster = false" >"$1"' sh "$CREATE_NO_CLUSTER"
  if ! apt_quietly install --no-install-recommends -y "$@" </dev/null >"$log" 2>&1; then
    complain "$(tail -n 30 "$log")"
    fail "apt-get could not install $* (see above)."
  fi
)

# Installs those of the packages that are missing: without arguments, those that every machine needs.
need_packages() {
  local missing=() names=() package started
  if (($# == 0)); then
    set -- "${PACKAGES[@]}"
  fi
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "This needs Debian or Ubuntu, where apt-get installs $*."
  fi
  for package in "$@"; do
    if ! any_installed "$package"; then
      missing+=("$package")
    fi
  done
  if ((${#missing[@]} == 0)); then
    return
  fi
  if ! find_root; then
    fail "These packages are missing, and installing them takes root. Please run this and try again:

  sudo apt-get update && sudo apt-get install --no-install-recommends -y ${missing[*]%%|*}"
  fi
  started=$SECONDS
  if [[ -z $LISTS_READ ]]; then
    say "Reading apt's package lists ..."
    read_lists
  fi
  for package in "${missing[@]}"; do
    names+=("$(installable "$package")")
  done
  say "Installing ${names[*]} with apt-get (a minute, once) ..."
  install_packages "${names[@]}" || exit
  say "Installed after $((SECONDS - started)) s."
}

# Puts a dotnet on the PATH that satisfies global.json in the folder, or says how to get one.
need_dotnet() {
  local root=$1 folder version
  if ! command -v dotnet >/dev/null; then
    for folder in "${DOTNET_ROOT:-}" "${HOME:-}/.dotnet" /usr/share/dotnet /usr/lib/dotnet /usr/local/share/dotnet; do
      if [[ -n $folder && -x $folder/dotnet ]]; then
        export DOTNET_ROOT=$folder PATH=$folder:$PATH
        break
      fi
    done
  fi
  export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en
  # No build server stays behind when the script has ended.
  export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 UseSharedCompilation=false
  # The SDK refuses to start without ICU, which a minimal machine lacks and nothing here needs.
  if ! ldconfig_lists libicuuc; then
    export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
  fi
  if ! command -v dotnet >/dev/null || ! version=$(cd "$root" && dotnet --version 2>/dev/null) || [[ $version != 10.* ]]; then
    fail "The .NET 10 SDK is missing${version:+ (dotnet is version $version)}. On Ubuntu 'apt-get install dotnet-sdk-10.0' installs it; elsewhere
https://dot.net/download does, or: curl -sSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 10.0"
  fi
}

has_npm() { command -v npm >/dev/null; }

# need_node: has what the page is built with, or says that it is left out. Succeeds where it is there.
need_node() {
  if ! has_npm; then
    if ! find_root; then
      complain "Without the page: building it takes Node.js 18 or later and npm (sudo apt-get install nodejs npm). All the rest runs."
      return 1
    fi
    # It ends the shell where apt can't: a shell of its own.
    if ! (need_packages nodejs npm); then
      complain "Without the page: building it takes nodejs and npm, which could not be installed. All the rest runs; --no-page asks for no page."
      return 1
    fi
  fi
  if ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; then
    complain "Without the page: building it takes Node.js 18 or later, and this is $(node --version 2>/dev/null || echo none). All the rest runs."
    return 1
  fi
}

ldconfig_lists() {
  local list
  list=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null) || return 1
  [[ $list == *"$1"* ]]
}
