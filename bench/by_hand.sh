# shellcheck shell=bash
# The tutorial's steps, as somebody writes them down who knows how: run on the node by `ssh NODE bash -ls`.
set -e
module load anaconda/3
umask 077
mkdir -p ~/by-hand
cd ~/by-hand
openssl req -x509 -nodes -days 365 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout server.key \
  -out server.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
hash=$(python3 -c 'from jupyter_server.auth import passwd; print(passwd("correct horse battery staple"))')
cat >config.py <<END
c = get_config()
c.PasswordIdentityProvider.hashed_password = '$hash'
c.ServerApp.sock = '$PWD/sock'
c.ServerApp.certfile = '$PWD/server.crt'
c.ServerApp.keyfile = '$PWD/server.key'
END
screen -dmS by-hand bash -lc "module load anaconda/3; cd; exec jupyter lab --no-browser --config=$PWD/config.py"
until [ -S sock ]; do sleep 0.1; done
cat server.crt
