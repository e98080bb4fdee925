#!/usr/bin/python3
"""A ring of N mininet hosts joined by plain links (no switch), with a /30 on each.

Prints `up SECONDS`, waits for a line on standard input, stops it and prints `down SECONDS`. Started in
network and mount namespaces of its own: mininet makes every veth where it runs and moves it.
"""

import resource
import sys
import time

start = time.monotonic()
import mininet.net  # noqa: E402

# It raises limits of the whole machine (sysctls); a benchmark leaves those alone.
mininet.net.fixLimits = lambda: None
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

n = int(sys.argv[1])
net = mininet.net.Mininet(controller=None, build=False)
hosts = [net.addHost(f"h{i + 1}", ip=None) for i in range(n)]
for i in range(n):
    j = (i + 1) % n
    third, fourth = i * 4 // 256, i * 4 % 256
    net.addLink(
        hosts[i],
        hosts[j],
        intfName1=f"h{i + 1}-eth0",
        intfName2=f"h{j + 1}-eth1",
        params1={"ip": f"10.0.{third}.{fourth + 1}/30"},
        params2={"ip": f"10.0.{third}.{fourth + 2}/30"},
    )
net.build()
print(f"up {time.monotonic() - start:.6f}", flush=True)
sys.stdin.readline()
start = time.monotonic()
net.stop()
print(f"down {time.monotonic() - start:.6f}", flush=True)
