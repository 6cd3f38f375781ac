#!/bin/bash
# Runs under systemd (boot.sh): starts clusterd's services, restarts, hangs and stops them; prints what it sees.
systemd-sysusers
systemd-tmpfiles --create /usr/lib/tmpfiles.d/clusterd.conf
services="router agent undoer web"

tell() { # WHAT SERVICE: what systemd says of it
	echo "$1 $2: $(systemctl show "clusterd-$2" -P ActiveState) $(systemctl show "clusterd-$2" -P Result)"
}
process() { systemctl show -P MainPID "clusterd-$1"; }
status() { # WHAT PID: user, capabilities, filter of a process
	echo "$1: $(ps -o user:20= -p "$2") $(awk '/^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ { printf "%s ", $2 }' "/proc/$2/status")"
}

for service in $services; do
	systemctl start "clusterd-$service"
	tell started "$service"
	status "rights of $service" "$(process "$service")"
done
PYTHONPATH=/tmp/repo $PYTHON -m clusterd init -f - <<-'END'
	routers: {r1: {public: 127.0.0.1}}
	virtuals:
	  pings: {address: 10.9.8.1/24, interface: lo, port: 80, check: {type: icmp, interval_s: 1}, servers: {rs1: {address: 127.0.0.1}}}
	  programs:
	    address: 10.9.8.1/24
	    interface: lo
	    port: 81
	    check: {type: exec, command: [/usr/bin/id, -un], expect: "clusterd-router\n", interval_s: 1}
	    servers: {rs1: {address: 127.0.0.1}}
END
healths() { etcdctl get --prefix --print-value-only /clusterd/main/health/ | grep -c '"up": true'; }
export ETCDCTL_API=3
for _ in $(seq 100); do
	[ "$(healths)" != 2 ] || break
	sleep 0.2
done
echo "real servers that are up: $(healths)"
status "rights of the prober" "$(pgrep -P "$(process router)")"
console=http://127.0.0.1:8480/login
echo "a password of the console" >/tmp/password
PYTHONPATH=/tmp/repo $PYTHON -m clusterd console user add alice --role viewer --password-file /tmp/password
for _ in $(seq 100); do
	curl -s $console | grep -q "There is no user yet" || break
	sleep 0.2
done
token=$(curl -s -c /tmp/cookies $console | sed -n 's/.*name="form_token" value="\([^"]*\)".*/\1/p')
curl -s -b /tmp/cookies -o /dev/null -w 'a login to the console: %{http_code} %{redirect_url}\n' \
	-d "form_token=$token" -d user=alice -d "password=$(cat /tmp/password)" $console
for service in $services; do
	before=$(process "$service")
	systemctl restart "clusterd-$service"
	tell restarted "$service"
	[ "$before" != "$(process "$service")" ] || echo "$service is the same process"
done
stat -c "lease's file: %U %a" /run/clusterd/main.dry
before=$(process router)
kill -STOP "$before"
for _ in $(seq 100); do
	[ "$(systemctl show clusterd-router -P NRestarts)" = 0 ] || [ "$(process router)" = 0 ] || break
	sleep 0.2
done
echo "hung, then started again: $(systemctl show clusterd-router -P NRestarts)"
for service in $services; do
	systemctl stop "clusterd-$service"
	tell stopped "$service"
done
echo "undoers and routers left in etcd: $(etcdctl get --prefix --keys-only /clusterd/main/undoers/ | grep -c main)"
echo the end
