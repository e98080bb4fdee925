// Sees from outside when a lab has really gone.
//
//   witness FILE...      each FILE is a network namespace (/proc/PID/fd/N)
//
// Puts one end of a veth into each namespace and keeps the other in a namespace of its own. Prints
// `ready NAMESPACES` (the count in the slab cache), waits for a line on standard input, which holds
// how many namespaces should go, and prints `links` as soon as the last veth has gone and
// `namespaces` as soon as those have; `unknown` if they do not within 20 s (the count is the whole
// machine's: something else may be making namespaces).
#include "rtnl.h"
#include <dirent.h>
#include <sys/wait.h>

// The kernel frees a namespace it has taken down when it takes down the next one (Linux 6.13): so
// here goes one more.
static void nudge(void) {
  pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNET) != 0);
  if (child > 0) waitpid(child, 0, 0);
}

// Objects in use of the kernel's net_namespace cache. What a processor has at hand counts as used
// until the cache is told to shrink.
static long namespaces(void) {
  FILE *shrink = fopen("/sys/kernel/slab/net_namespace/shrink", "w");
  if (shrink) fputs("1", shrink), fclose(shrink);
  FILE *f = fopen("/proc/slabinfo", "r");
  char line[512];
  long active = -1;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "net_namespace %ld", &active) == 1) break;
  if (f) fclose(f);
  return active;
}

static void nap(long microseconds) {
  struct timespec t = {0, microseconds * 1000};
  nanosleep(&t, 0);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  static struct batch b;
  int targets[64], n = argc - 1 < 64 ? argc - 1 : 64;
  for (int i = 0; i < n; i++) targets[i] = open_ns(argv[i + 1]);
  if (unshare(CLONE_NEWNET)) die("unshare");
  int mine = open_ns("/proc/self/ns/net"), s = rtnl();
  for (int i = 0; i < n; i++) {
    char name[16];
    snprintf(name, sizeof name, "w%d", i);
    add_veth(&b, mine, name, 100 + i, targets[i], "witness", 9000);
  }
  flush(s, &b);
  for (int i = 0; i < n; i++) close(targets[i]); // or we would hold them
  long before = namespaces();
  printf("ready %ld\n", before);
  fflush(stdout);

  long going;
  if (scanf("%ld", &going) != 1) return 1;
  double end = now() + 20;
  for (int i = 0; i < n;) {
    char name[16];
    snprintf(name, sizeof name, "w%d", i);
    if (!if_nametoindex(name)) i++;
    else if (now() > end) return 3;
    else nap(200);
  }
  printf("links\n");
  fflush(stdout);
  // Other programs on this machine may make some meanwhile: allow one in twenty, and two dozen.
  long left = before - going + (going / 20 > 24 ? going / 20 : 24);
  while (namespaces() > left) {
    if (now() > end) {
      printf("unknown\n");
      return 0;
    }
    nudge();
    nap(10000);
  }
  printf("namespaces\n");
  return 0;
}
