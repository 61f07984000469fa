#!/bin/sh
# The network boundary of builds: what code in a RUN step, and buildkitd when it fetches for a Dockerfile, may reach.
#
# Runs beside buildkitd, in the pod's network namespace. It first writes what buildkitd starts from (its CNI network
# and configuration, below /run/keelway), then keeps the rules as they should be: the whole filter and nat tables
# are replaced at once, every few seconds, because the address of the registry's name may change.
#
#   RUN step --veth--> keelway0 --FORWARD--> the pod's interface --> DNS, the internet; nothing private
#   RUN step --veth--> keelway0 --INPUT----> nothing: not the daemon, not the pod
#   RUN step --veth--> keelway0 --veth-----> nothing: ports of the bridge are isolated from each other
#   buildkitd ------------------OUTPUT-----> DNS, the operator's registry, the internet; nothing else private
#
# `boundary.sh is-fresh` says whether buildkitd would begin with the same files again: the readiness probe, by which
# the operator finds a replica to replace (reconcile/buildkit.py), for buildkitd itself never reloads.
#
# Environment: ALLOWED_NETWORKS and REFUSED_NETWORKS (ConfigMap buildkitd-networks), STEP_PROCESSES (buildkitd-limits),
# POD_IP and HOST_IP (the pod's and its node's address), KUBERNETES_SERVICE_HOST (the API server's, given by the kubelet).
# Files: /etc/keelway/buildkitd/*.toml (ConfigMap buildkitd; an overlay may add files to it), and from the operator
# /etc/keelway/registry/endpoint (host:port), /etc/keelway/registry/*.toml (ConfigMap buildkitd-registry) and
# /etc/keelway/tls (Secret buildkitd-tls).
set -eu

bridge=keelway0
# RFC 2544's benchmarking range: routed nowhere, and not what clusters use for pods or Services (BuildKit's own
# default, 10.10.0.0/16, is within what many do use, and would cut RUN steps off from the DNS there).
subnet=198.18.0.0/16
run=/run/keelway
interval=5
export XTABLES_LOCKFILE=$run/xtables.lock

# IANA's special-purpose registries (RFC 6890): this host, private, shared (CGNAT), link-local (the clouds' metadata),
# protocol assignments, benchmarking, multicast, reserved.
private4="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
  192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4"

words() { echo "$*" | tr ',' ' '; }

# only 4|6 WORD...: the addresses and networks of that family.
only() {
  wanted=$1; shift
  for word in $(words "$@"); do
    case $word in *:*) kind=6 ;; *) kind=4 ;; esac
    if [ $kind = "$wanted" ]; then echo "$word"; fi
  done
}

nameservers() { awk '$1 == "nameserver" { print $2 }' /etc/resolv.conf; }

# filter 4|6 [HOST PORT]: the filter table of a family. iptables itself resolves HOST, to all its addresses.
filter() {
  family=$1 host=${2:-} port=${3:-}
  echo "*filter"
  echo ":INPUT ACCEPT [0:0]"
  echo ":FORWARD DROP [0:0]"
  echo ":OUTPUT ACCEPT [0:0]"
  echo ":OUTSIDE - [0:0]"

  echo "-A INPUT -i $bridge -j REJECT"

  # RUN steps have CAP_NET_RAW: a forged source must not match somebody else's connection. They have no IPv6.
  if [ "$family" = 4 ]; then
    echo "-A FORWARD -i $bridge ! -s $subnet -j DROP"
    echo "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    echo "-A FORWARD -i $bridge -j OUTSIDE"
  fi

  # Answers to builds' clients are ESTABLISHED. On the loopback only buildkitd listens, and asks for a certificate.
  echo "-A OUTPUT -o lo -j ACCEPT"
  echo "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
  [ "$family" = 4 ] || echo "-A OUTPUT -p ipv6-icmp -j ACCEPT" # neighbour discovery: IPv6's ARP
  [ -z "$host" ] || echo "-A OUTPUT -d $host -p tcp --dport $port -j ACCEPT"
  echo "-A OUTPUT -j OUTSIDE"

  for server in $(only "$family" "$(nameservers)"); do
    echo "-A OUTSIDE -d $server -p udp --dport 53 -j ACCEPT"
    echo "-A OUTSIDE -d $server -p tcp --dport 53 -j ACCEPT"
  done
  for network in $(only "$family" "$ALLOWED_NETWORKS"); do
    echo "-A OUTSIDE -d $network -j ACCEPT"
  done
  if [ "$family" = 4 ]; then
    refuse=$(only 4 "$private4 $REFUSED_NETWORKS $POD_IP $HOST_IP $KUBERNETES_SERVICE_HOST")
  else
    # A cluster's IPv6 ranges are often public ones that nothing here can tell from the internet: refuse all.
    refuse=::/0
  fi
  for network in $refuse; do
    # A reset fails a connection at once, where silence would hold the build until its timeout.
    echo "-A OUTSIDE -d $network -p tcp -j REJECT --reject-with tcp-reset"
    echo "-A OUTSIDE -d $network -j REJECT"
  done
  echo "-A OUTSIDE -j ACCEPT"
  echo "COMMIT"
}

nat() {
  echo "*nat"
  echo ":POSTROUTING ACCEPT [0:0]"
  echo "-A POSTROUTING -s $subnet ! -o $bridge -j MASQUERADE"
  echo "COMMIT"
}

# apply [HOST PORT]: both families, each replaced in one step or not at all.
apply() {
  { filter 4 "$@" && nat; } | iptables-restore || return 1
  [ -e /proc/net/if_inet6 ] || return 0 # a kernel without IPv6
  # A registry without an IPv6 address is the usual case, and no reason to leave IPv6 open.
  filter 6 "$@" | ip6tables-restore 2>/dev/null || filter 6 | ip6tables-restore
}

write_buildkitd_files() {
  mkdir -p $run/cni/bin
  for plugin in bridge host-local loopback; do
    ln -sf "$(command -v buildkit-cni-$plugin)" $run/cni/bin/$plugin
  done
  # A larger MTU than the pod's own loses packets on overlay networks.
  interface=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
  if [ -z "$interface" ]; then
    echo "This pod has no IPv4 default route, and RUN steps have no other network. Use an IPv4 or dual-stack cluster." >&2
    exit 1
  fi
  mtu=$(cat "/sys/class/net/$interface/mtu")
  # No ipMasq and no firewall plugin: every rule is in this file.
  cat >$run/cni/keelway.conflist <<JSON
{"cniVersion": "1.0.0", "name": "keelway", "plugins": [{
  "type": "bridge", "bridge": "$bridge", "isDefaultGateway": true, "portIsolation": true, "mtu": $mtu,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "$subnet"}]]}
}]}
JSON
  write_runtime
  cat /etc/keelway/buildkitd/*.toml /etc/keelway/registry/*.toml >$run/buildkitd.toml
}

# BuildKit has no limit on the processes of a step, and one without end would leave none for the daemon, for other
# steps, and (without a podPidsLimit of the kubelet) for the node. So buildkitd runs this instead of runc: it puts the
# limit into the step's OCI configuration. In a string of it a quote is escaped, so the pattern fits where it should
# alone; a configuration that it does not fit is not run.
write_runtime() {
  cat >$run/runtime <<SH
#!/bin/sh
before=
for word; do
  if [ "\$before" = --bundle ]; then
    sed -i 's/"resources":{/"resources":{"pids":{"limit":$STEP_PROCESSES},/' "\$word/config.json"
    grep -q '"resources":{"pids":{"limit":$STEP_PROCESSES}' "\$word/config.json" || exit 125
  fi
  before=\$word
done
exec buildkit-runc "\$@"
SH
  chmod 755 $run/runtime
}

# What the operator may change while the pod lives. The kubelet brings it into the volumes within about a minute.
inputs() { cat /etc/keelway/registry/*.toml /etc/keelway/tls/* | sha256sum; }

registry() { tr ':' ' ' </etc/keelway/registry/endpoint; } # "host:port" as two words

if [ "${1:-}" = is-fresh ]; then
  [ "$(inputs)" = "$(cat $run/began-with)" ]
  exit
fi

trap 'exit 0' TERM INT
# Once a pod: where this container begins again, buildkitd still runs with the files of before.
if [ ! -e $run/began-with ]; then
  began_with=$(inputs)
  write_buildkitd_files
  echo "$began_with" >$run/began-with
fi
# The registry's name may not resolve yet. buildkitd must not wait for it, only do without.
# shellcheck disable=SC2046 # two words, on purpose
apply $(registry) || apply
touch $run/ready
while :; do
  sleep $interval &
  wait $!
  # Not resolved just now: the rules of before stay.
  # shellcheck disable=SC2046
  apply $(registry) || echo "the rules of before stay, for iptables-restore failed" >&2
done
