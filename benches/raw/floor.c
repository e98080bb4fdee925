// The floor: the least a program has to do to hold a ring of N nodes in network namespaces.
//
//   floor N idle|populated|dressed
//
// idle       a network namespace per node, a veth to the next one made in place, lo and links up,
//            a /30 on both ends. Nothing on disk, nothing mounted: the namespaces live by their fds.
// populated  the same, and each node has pid, uts, ipc and mount namespaces of its own, a hostname, and
//            one process (sleep) with the environment that a node's processes have.
// dressed    the same, and each node has what netloom gives it: /etc an overlay, /run, /tmp and /var/log its own,
//            /proc and /sys mounted anew, a first process beside the one it runs. What it takes to stop
//            these processes is what it takes to stop those of a lab, whoever does it.
//
// Prints `up`, waits for a line on standard input, takes everything down and prints `down` with the
// seconds until the processes had ended and until the call was over. What the kernel does after that
// (cleanup_net) is seen by `witness`.
#include "rtnl.h"
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int dressed;
static char store[] = "/tmp/floor-XXXXXX"; // a tmpfs, seen by this program only

static void dress(const char *name) {
  const char *own[] = {"run", "tmp", "log", "etc", "work"}, *over[] = {"/run", "/tmp", "/var/log"};
  if (chdir(store) || mkdir(name, 0755) || chdir(name)) _exit(104);
  for (int i = 0; i < 5; i++)
    if (mkdir(own[i], 0755)) _exit(105);
  if (mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=etc,workdir=work")) _exit(106);
  for (int i = 0; i < 3; i++)
    if (mount(own[i], over[i], 0, MS_BIND, 0)) _exit(107);
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0)) _exit(108);
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0)) _exit(109);
  if (chdir("/")) _exit(110);
  pid_t second = fork();
  if (second < 0) _exit(111);
}

static int child(void *name) {
  if (mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) _exit(101);
  if (sethostname(name, strlen(name))) _exit(102);
  if (dressed) dress(name);
  char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                         "HOME=/root", "USER=root", "LOGNAME=root", "LANG=C.UTF-8", 0};
  execle("/bin/sleep", "sleep", "infinity", (char *)0, environment);
  _exit(103);
}

int main(int argc, char **argv) {
  int n = argc == 3 ? atoi(argv[1]) : 0;
  dressed = n && !strcmp(argv[2], "dressed");
  int populated = dressed || (n && !strcmp(argv[2], "populated"));
  if (n < 3 || (!populated && strcmp(argv[2], "idle"))) {
    fprintf(stderr, "usage: floor N idle|populated|dressed, N at least 3\n");
    return 2;
  }
  if (dressed) {
    if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) die("unshare");
    if (!mkdtemp(store) || mount("tmpfs", store, "tmpfs", 0, 0)) die(store);
  }
  struct rlimit files = {2 * n + 64, 2 * n + 64}, had;
  getrlimit(RLIMIT_NOFILE, &had);
  if (had.rlim_cur < files.rlim_cur) {
    if (files.rlim_max < had.rlim_max) files.rlim_max = had.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files)) die("setrlimit");
  }
  int *ns = calloc(n, sizeof *ns), *conf = calloc(n, sizeof *conf);
  pid_t *pids = calloc(n, sizeof *pids);
  static struct batch b;
  static char stack[64 * 1024] __attribute__((aligned(16)));
  int home = open_ns("/proc/self/ns/net");
  int root = rtnl();
  double t0 = now();

  for (int i = 0; i < n; i++) {
    char path[64];
    if (populated) {
      char name[32];
      snprintf(name, sizeof name, "n%d", i + 1);
      // Not CLONE_VM: the child has its own copy of the stack and of the name.
      pids[i] = clone(child, stack + sizeof stack, CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | SIGCHLD, name);
      if (pids[i] < 0) die("clone");
      snprintf(path, sizeof path, "/proc/%d/ns/net", pids[i]);
      ns[i] = open_ns(path);
      if (setns(ns[i], CLONE_NEWNET)) die("setns");
    } else {
      if (unshare(CLONE_NEWNET)) die("unshare");
      ns[i] = open_ns("/proc/thread-self/ns/net");
    }
    conf[i] = rtnl();
  }
  if (setns(home, CLONE_NEWNET)) die("setns home");
  double t1 = now();

  for (int i = 0; i < n; i++) {
    add_veth(&b, ns[i], "eth0", 2, ns[(i + 1) % n], "eth1", 3);
    if (b.acks == 64) flush(root, &b);
  }
  flush(root, &b);
  double t2 = now();

  for (int i = 0; i < n; i++) {
    uint32_t net = 0x0a000000u; // 10.0.0.0; link i has the i-th /30
    set_up(&b, 1, 0);
    add_address(&b, 2, net + 4 * i + 1, 30, 0);
    add_address(&b, 3, net + 4 * ((i + n - 1) % n) + 2, 30, 0);
    set_up(&b, 3, 1);
    flush(conf[i], &b);
    close(conf[i]);
  }
  double t3 = now();
  printf("up %.6f namespaces %.6f links %.6f addresses %.6f\n", t3 - t0, t1 - t0, t2 - t1, t3 - t2);
  fflush(stdout);

  char line[8];
  if (!fgets(line, sizeof line, stdin)) return 1;
  double d0 = now();
  if (populated) {
    for (int i = 0; i < n; i++) kill(pids[i], SIGKILL);
    for (int i = 0; i < n; i++)
      if (waitpid(pids[i], 0, 0) < 0) die("waitpid");
  }
  double d1 = now();
  for (int i = 0; i < n; i++) close(ns[i]);
  double d2 = now();
  printf("down %.6f processes %.6f\n", d2 - d0, d1 - d0);
  if (dressed && (umount(store) || rmdir(store))) die(store);
  return 0;
}
