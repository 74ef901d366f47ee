# shellcheck shell=bash
# Leads to Jupyter, and to the Python that runs it, in a login shell. Before it stands `modules`, what `module load` needs.
# shellcheck disable=SC2034,SC2154

# Sets modules_failed, jupyter, python and python_version.
find_jupyter() {
  local module script first second candidate
  modules_failed='' python='' python_version=''
  for module in "${modules[@]}"; do
    module load "$module" || modules_failed+=" $module"
  done
  jupyter=$(type -P jupyter) || return
  # Its Python is beside it, or, where it is a link or a script elsewhere (pipx, uv), there, or the one that its first
  # lines name.
  script=$(readlink -f -- "$jupyter")
  { read -r first; read -r second; } <"$script" 2>/dev/null
  [[ $second =~ ^\'\'\'exec\'\ \"?([^\"]*)\"?\ \"\$0\" ]] && first=${BASH_REMATCH[1]}
  first=${first#'#!'}
  for candidate in "${jupyter%/*}"/python{3,} "${script%/*}"/python{3,} "${first# }" "$(type -P python3)"; do
    [ -x "$candidate" ] || continue
    python_version=$("$candidate" -c 'import sys; sys.path[:] = filter(None, sys.path); import jupyter_core
print("%d.%d.%d" % sys.version_info[:3])' </dev/null 2>/dev/null) && python=$candidate && return
  done
}
