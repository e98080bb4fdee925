// What the raw programs share: messages of rtnetlink(7) built by hand, and a clock.
#ifndef RTNL_H
#define RTNL_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

// A send buffer that messages are appended to.
struct batch {
  char bytes[64 * 1024];
  size_t len;
  int acks; // how many of the messages asked for one
};

static inline struct nlmsghdr *msg_begin(struct batch *b, int type, int flags, const void *body, size_t size) {
  struct nlmsghdr *h = (void *)(b->bytes + b->len);
  memset(h, 0, NLMSG_SPACE(size));
  h->nlmsg_type = type;
  h->nlmsg_flags = NLM_F_REQUEST | flags;
  h->nlmsg_len = NLMSG_LENGTH(size);
  memcpy(NLMSG_DATA(h), body, size);
  if (flags & NLM_F_ACK) b->acks++;
  return h;
}

static inline struct rtattr *attr(struct nlmsghdr *h, int type, const void *data, size_t size) {
  struct rtattr *a = (void *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));
  a->rta_type = type;
  a->rta_len = RTA_LENGTH(size);
  if (size) memcpy(RTA_DATA(a), data, size);
  h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len);
  return a;
}

static inline void attr_u32(struct nlmsghdr *h, int type, uint32_t value) { attr(h, type, &value, 4); }

static inline void nest_end(struct nlmsghdr *h, struct rtattr *a) {
  a->rta_len = (char *)h + h->nlmsg_len - (char *)a;
}

static inline void msg_end(struct batch *b, struct nlmsghdr *h) { b->len += NLMSG_ALIGN(h->nlmsg_len); }

// One message that makes both ends where they belong, one queue each, index and name chosen. The
// first end is up at once; the second cannot be, its peer does not exist yet when it is made.
static inline void add_veth(struct batch *b, int ns1, const char *name1, int index1, int ns2, const char *name2, int index2) {
  struct ifinfomsg up = {.ifi_index = index1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct nlmsghdr *h = msg_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &up, sizeof up);
  attr(h, IFLA_IFNAME, name1, strlen(name1) + 1);
  attr_u32(h, IFLA_NET_NS_FD, ns1);
  attr_u32(h, IFLA_NUM_TX_QUEUES, 1);
  attr_u32(h, IFLA_NUM_RX_QUEUES, 1);
  struct rtattr *info = attr(h, IFLA_LINKINFO, 0, 0);
  attr(h, IFLA_INFO_KIND, "veth", 4);
  struct rtattr *data = attr(h, IFLA_INFO_DATA, 0, 0);
  struct ifinfomsg down = {.ifi_index = index2};
  struct rtattr *peer = attr(h, VETH_INFO_PEER, &down, sizeof down);
  attr(h, IFLA_IFNAME, name2, strlen(name2) + 1);
  attr_u32(h, IFLA_NET_NS_FD, ns2);
  attr_u32(h, IFLA_NUM_TX_QUEUES, 1);
  attr_u32(h, IFLA_NUM_RX_QUEUES, 1);
  nest_end(h, peer);
  nest_end(h, data);
  nest_end(h, info);
  msg_end(b, h);
}

static inline void set_up(struct batch *b, int index, int ack) {
  struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  msg_end(b, msg_begin(b, RTM_NEWLINK, ack ? NLM_F_ACK : 0, &up, sizeof up));
}

// `address` in host byte order.
static inline void add_address(struct batch *b, int index, uint32_t address, int prefix, int ack) {
  struct ifaddrmsg m = {.ifa_family = AF_INET, .ifa_prefixlen = prefix, .ifa_index = index};
  struct nlmsghdr *h = msg_begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | (ack ? NLM_F_ACK : 0), &m, sizeof m);
  uint32_t a = htonl(address);
  attr(h, IFA_LOCAL, &a, 4);
  attr(h, IFA_ADDRESS, &a, 4);
  msg_end(b, h);
}

static inline int rtnl(void) {
  int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (s < 0) die("socket(NETLINK_ROUTE)");
  int size = 4 << 20;
  setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  int one = 1;
  setsockopt(s, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  return s;
}

// Sends the batch and takes every answer; any error ends the program.
static inline void flush(int s, struct batch *b) {
  if (!b->len) return;
  if (send(s, b->bytes, b->len, 0) < 0) die("send to netlink");
  char in[32 * 1024];
  while (b->acks) {
    ssize_t n = recv(s, in, sizeof in, 0);
    if (n < 0) die("recv from netlink");
    for (struct nlmsghdr *h = (void *)in; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
      if (h->nlmsg_type != NLMSG_ERROR) continue;
      struct nlmsgerr *e = NLMSG_DATA(h);
      if (e->error) {
        errno = -e->error;
        die("netlink answered");
      }
      b->acks--;
    }
  }
  b->len = 0;
}

// A socket that was born in the namespace; the caller is back where it was.
static inline int rtnl_in(int ns, int home) {
  if (setns(ns, CLONE_NEWNET)) die("setns");
  int s = rtnl();
  if (setns(home, CLONE_NEWNET)) die("setns back");
  return s;
}

static inline int open_ns(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  return fd;
}
#endif
