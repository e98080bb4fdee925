// Measures the wire between two network namespaces, with nothing of anybody's in between.
//
//   pair rtt NS_A NS_B ADDRESS_B COUNT     one UDP datagram there and back, from one thread: what is
//                                          timed is the path through the kernel, no scheduling
//   pair tcp NS_A NS_B ADDRESS_B SECONDS   one TCP stream from A to B
//   pair delay NS_A NS_B ADDRESS_B COUNT   one datagram every millisecond, both ends' clock the same:
//                                          the one-way delay
#include "rtnl.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

static int socket_in(const char *path, int type) {
  int home = open_ns("/proc/self/ns/net"), ns = open_ns(path);
  if (setns(ns, CLONE_NEWNET)) die("setns");
  int s = socket(AF_INET, type, 0);
  if (s < 0) die("socket");
  if (setns(home, CLONE_NEWNET)) die("setns back");
  close(ns);
  close(home);
  struct timeval t = {5, 0};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  int one = 1, size = 4 << 20;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (type == SOCK_DGRAM) setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  return s;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_percentiles(double *t, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += t[i];
  qsort(t, n, sizeof *t, compare);
  printf("median %.0f p99 %.0f mean %.0f count %d\n", t[n / 2] * 1e9, t[(int)(n * 0.99)] * 1e9, sum / n * 1e9, n);
}

static void rtt(const char *a, const char *b, struct sockaddr_in to, int n) {
  int sa = socket_in(a, SOCK_DGRAM), sb = socket_in(b, SOCK_DGRAM);
  if (bind(sb, (void *)&to, sizeof to)) die("bind");
  socklen_t len = sizeof to;
  getsockname(sb, (void *)&to, &len);
  if (connect(sa, (void *)&to, sizeof to)) die("connect");
  double *t = calloc(n, sizeof *t);
  char buf[64] = {0};
  for (int i = -1000; i < n; i++) {
    struct sockaddr_in from;
    len = sizeof from;
    double t0 = now();
    if (send(sa, buf, 64, 0) != 64) die("send");
    if (recvfrom(sb, buf, 64, 0, (void *)&from, &len) != 64) die("recv at the far end");
    if (sendto(sb, buf, 64, 0, (void *)&from, len) != 64) die("send back");
    if (recv(sa, buf, 64, 0) != 64) die("recv");
    if (i >= 0) t[i] = now() - t0;
  }
  print_percentiles(t, n);
}

struct flow {
  int socket, n;
  double *t;
};

static void *sink(void *arg) {
  struct flow *f = arg;
  static char buf[256 * 1024];
  int c = accept(f->socket, 0, 0);
  if (c < 0) die("accept");
  double t0 = now();
  double total = 0;
  for (ssize_t n; (n = recv(c, buf, sizeof buf, 0)) > 0;) total += n;
  printf("gbit %.3f\n", total * 8e-9 / (now() - t0));
  return 0;
}

static void tcp(const char *a, const char *b, struct sockaddr_in to, double seconds) {
  int sa = socket_in(a, SOCK_STREAM), sb = socket_in(b, SOCK_STREAM);
  if (bind(sb, (void *)&to, sizeof to) || listen(sb, 1)) die("listen");
  socklen_t len = sizeof to;
  getsockname(sb, (void *)&to, &len);
  pthread_t thread;
  struct flow f = {.socket = sb};
  pthread_create(&thread, 0, sink, &f);
  if (connect(sa, (void *)&to, sizeof to)) die("connect");
  static char buf[128 * 1024];
  for (double end = now() + seconds; now() < end;)
    if (send(sa, buf, sizeof buf, 0) < 0) die("send");
  close(sa);
  pthread_join(thread, 0);
}

static void *receive_stamped(void *arg) {
  struct flow *f = arg;
  double sent;
  f->n = 0;
  while (recv(f->socket, &sent, sizeof sent, 0) == sizeof sent) {
    if (sent == 0) break;
    f->t[f->n++] = now() - sent;
  }
  return 0;
}

static void delay(const char *a, const char *b, struct sockaddr_in to, int n) {
  int sa = socket_in(a, SOCK_DGRAM), sb = socket_in(b, SOCK_DGRAM);
  if (bind(sb, (void *)&to, sizeof to)) die("bind");
  socklen_t len = sizeof to;
  getsockname(sb, (void *)&to, &len);
  if (connect(sa, (void *)&to, sizeof to)) die("connect");
  struct flow f = {.socket = sb, .t = calloc(n + 1, sizeof(double))};
  pthread_t thread;
  pthread_create(&thread, 0, receive_stamped, &f);
  for (int i = 0; i <= n; i++) {
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, 0);
    double t = i < n ? now() : 0;
    if (send(sa, &t, sizeof t, 0) < 0) die("send");
  }
  pthread_join(thread, 0);
  if (!f.n) {
    fprintf(stderr, "nothing arrived\n");
    exit(1);
  }
  print_percentiles(f.t, f.n);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, argv[4], &to.sin_addr) != 1) return 2;
  if (!strcmp(argv[1], "rtt")) rtt(argv[2], argv[3], to, atoi(argv[5]));
  else if (!strcmp(argv[1], "tcp")) tcp(argv[2], argv[3], to, atof(argv[5]));
  else if (!strcmp(argv[1], "delay")) delay(argv[2], argv[3], to, atoi(argv[5]));
  else return 2;
  return 0;
}
