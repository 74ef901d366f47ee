# shellcheck shell=bash
# Says who and where this is, finds Jupyter, and has our program say all else: lines of key, tab, value. Before it stands
# what the laptop knows: mark, asked, cluster, loader, sent, and environment.sh.
# shellcheck disable=SC2154

# Whatever the login scripts have set.
set +euf +o noclobber
unset POSIXLY_CORRECT CDPATH GLOBIGNORE IFS
tell() { printf '%s\t%s\n' "$1" "$2"; }
echo
echo "$mark begin"

# Several login nodes may share the home, so our folder has the host in its name. By the record in the folder it is
# another cluster's where that has a node of the same short name; some nodes know no more of theirs.
node=$(uname -n) host=$(hostname -f 2>/dev/null || uname -n)
directory=$HOME/.jupyter-cluster/${node%%.*}
if [ -f "$directory/node" ] && read -r its_cluster its_host <"$directory/node" && [ -n "$its_host" ]; then
  if [[ $its_host == *.* && $host == *.* ]]; then
    [ "$its_host" = "$host" ] || directory=$HOME/.jupyter-cluster/$host
  elif [ "$its_cluster" != "$cluster" ]; then
    directory=$HOME/.jupyter-cluster/${node%%.*}.$cluster
  fi
fi
tell host "$host"
tell user "$(id -un)"
tell home "$HOME"
tell directory "$directory"
# Both clocks, for the difference: what the laptop's said as this was sent, and the node's now and at the end.
tell asked "$asked"
tell time "$(date +%s)"

exec 3>&1 >/dev/null 2>&1
find_jupyter
exec >&3 3>&-
tell modules_failed "$modules_failed"
tell setup_failed "$setup_failed"
tell unfit "$unfit"
tell jupyter "$jupyter"
tell python.path "$python"
tell python.version "$python_version"

# Our servers, as a shell can find them.
servers() {
  local found
  grep -slzxE -e "--config=/.*/\.jupyter-cluster/${directory##*/}/jupyter_server_config\.py" /proc/[0-9]*/cmdline |
    while read -r found; do
      [ -O "$found" ] && echo "${found//[!0-9]/}"
    done
}

# By Jupyter's own Python, or, where that is too old or has gone, by another one.
run_program() {
  local candidate pid said libraries
  for candidate in "$python" "$(type -P python3)" /usr/bin/python3; do
    said=$(printf %s "$sent" | "$candidate" -c "$loader" "$directory" 2>/dev/null) && break
  done
  said=${said##*$'\n'}
  [[ $said == '{'* ]] && tell facts "$said" && return
  # A server whose Jupyter has gone has its Python still, and where that finds its libraries.
  for pid in $(servers); do
    libraries=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^LD_LIBRARY_PATH=//p')
    [ -z "$libraries" ] || export LD_LIBRARY_PATH=$libraries
    said=$(printf %s "$sent" | "/proc/$pid/exe" -c "$loader" "$directory" 2>/dev/null) && break
  done
  said=${said##*$'\n'}
  [[ $said == '{'* ]] && tell facts "$said" && return
  candidate=${python:-$(type -P python3)}
  [ -z "$candidate" ] || tell trouble "$(
    # Of a variable that Python cannot read, it says more behind what is wrong.
    printf %s "$sent" | "$candidate" -c "$loader" "$directory" 2>&1 | sed -n -e '/^Fatal Python error/{p;q;}' -e '$p'
  )"
  return 1
}

# Without any Python, what `stop` and `remove` need.
run_program || {
  [ -e "$directory" ] && tell directory_exists yes
  # Where one was submitted, nothing is known of it.
  if [ -e "$directory/run/job" ] || [ -e "$directory/run/server" ]; then
    tell job.state unknown
    tell job.why 'without a Python that runs, nobody can ask it'
  fi
  tell server.pid "$(servers | head -n 1)"
  for above in /tmp /var/tmp; do
    place=$above/jupyter-cluster-$(id -u)
    [ -O "$place" ] && [ ! -L "$place" ] && [ -e "$place/.jupyter-cluster" ] && tell places "$place"
  done
}
tell ended "$(date +%s)"
echo "$mark end"
