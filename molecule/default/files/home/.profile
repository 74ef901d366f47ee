# A login script that talks, and an umask that lets the group read results.
echo "Welcome back!"
umask 027
