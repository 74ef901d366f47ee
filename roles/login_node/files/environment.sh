# shellcheck shell=bash
# Leads to Jupyter, and to the Python that runs it, in a login shell. Before it stands what leads there: `module_paths` and
# `modules`, for `module use` and `module load`; `own_environment`, a folder; and `setup_lines`, of shell.
# shellcheck disable=SC2034,SC2154

# Whether an environment could be entered: what a virtual environment has (as a tool of uv's is one), or one of conda's
# (as pixi's are).
enter() {
  local script
  if [ -f "$1/pyvenv.cfg" ] && [ -f "$1/bin/activate" ]; then
    # shellcheck source=/dev/null
    . "$1/bin/activate"
  elif [ -f "$1/pyvenv.cfg" ] && [ -x "$1/bin/python" ]; then
    export VIRTUAL_ENV=$1 PATH=$1/bin:$PATH
  elif [ -d "$1/conda-meta" ]; then
    export CONDA_PREFIX=$1 CONDA_DEFAULT_ENV=$1 PATH=$1/bin:$PATH
    for script in "$1"/etc/conda/activate.d/*.sh; do
      # shellcheck source=/dev/null
      [ ! -f "$script" ] || . "$script"
    done
  elif [ -d "$1/.pixi/envs/default" ]; then
    enter "$1/.pixi/envs/default"
  else
    return 1
  fi
}

# Sets modules_failed, setup_failed, unfit, jupyter, python and python_version.
find_jupyter() {
  local path module line script first second candidate
  modules_failed='' setup_failed='' unfit='' python='' python_version=''
  for path in "${module_paths[@]}"; do
    [[ $path != '~'* ]] || path=$HOME${path#'~'}
    module use "$path" || setup_failed+="${setup_failed:+; }module use $path"
  done
  for module in "${modules[@]}"; do
    module load "$module" || modules_failed+=" $module"
  done
  [[ $own_environment != '~'* ]] || own_environment=$HOME${own_environment#'~'}
  [ -z "$own_environment" ] || enter "$own_environment" || setup_failed+="${setup_failed:+; }$own_environment"
  for line in "${setup_lines[@]}"; do
    eval "$line" || setup_failed+="${setup_failed:+; }$line"
  done
  # Whatever they have set.
  set +euf +o noclobber
  unset POSIXLY_CORRECT CDPATH GLOBIGNORE IFS
  # At its end Python would wait at the terminal for something to be typed.
  [ -z "${PYTHONINSPECT-}" ] || unfit='PYTHONINSPECT keeps the server from ending when it shall.'
  [[ ${PYTHONOPTIMIZE-} =~ ^0*([2-9]|[1-9][0-9]+)$ ]] &&
    unfit="PYTHONOPTIMIZE=$PYTHONOPTIMIZE takes texts out of programs that Jupyter needs."
  [ -d "$HOME" ] || unfit="HOME is $HOME, and that is no folder."
  [[ $(ulimit -Hn) == unlimited || $(ulimit -Hn) -ge 256 ]] ||
    unfit="ulimit -n is $(ulimit -Hn), and a server with a few kernels opens 256 files and more."
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
