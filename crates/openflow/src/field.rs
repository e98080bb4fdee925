//! The fields of packets and of their pipeline state that a flow can match, set, move or learn: one table.
//!
//! Sources: OpenFlow 1.5.1 section 7.2.3.8 (OXM), `meta-flow.xml` of Open vSwitch (NXM and its later classes). The order of the table is the order on the wire: a
//! field stands after those it [requires](Spec::needs), and a switch refuses another order.

use std::fmt;

use crate::version::Version;

/// Experimenter id of Nicira, whose extensions are those of Open vSwitch.
pub const NICIRA: u32 = 0x0000_2320;
/// Experimenter id of the Open Networking Foundation.
pub const ONF: u32 = 0x4f4e_4600;

/// The 4 bytes before a value: class, number, whether a mask follows, and length; the experimenter classes have 4 more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// `0x8000` is OpenFlow's own, `0` and `1` are NXM, `0x8001` the packet registers, `0xffff` an experimenter's.
    pub class: u16,
    /// The number within the class.
    pub number: u8,
    /// The experimenter of class `0xffff`; 0 elsewhere.
    pub experimenter: u32,
    /// Its name in `ovs-ofctl`'s subfields.
    pub name: &'static str,
    /// The oldest version in which a switch is sent this one; `None` marks a form only the extensions' own messages use.
    since: Option<Version>,
}

/// Class of OpenFlow's own fields.
pub(crate) const CLASS_OPENFLOW: u16 = 0x8000;
/// Class whose headers have an experimenter's id after them.
pub(crate) const CLASS_EXPERIMENTER: u16 = 0xffff;

const fn header(class: u16, number: u8, experimenter: u32, name: &'static str) -> Header {
    Header { class, number, experimenter, name, since: Some(Version::V13) }
}

/// The first NXM class, superseded by OXM in matches.
const fn nxm(number: u8, name: &'static str) -> Header {
    Header { since: None, ..header(0x0000, number, 0, name) }
}

/// The second NXM class.
const fn nx(number: u8, name: &'static str) -> Header {
    header(0x0001, number, 0, name)
}

/// OpenFlow's own class.
const fn oxm(number: u8, name: &'static str) -> Header {
    header(CLASS_OPENFLOW, number, 0, name)
}

const fn oxm15(number: u8, name: &'static str) -> Header {
    Header { since: Some(Version::V15), ..oxm(number, name) }
}

/// Packet registers of OpenFlow 1.5.
const fn pkt(number: u8, name: &'static str) -> Header {
    header(0x8001, number, 0, name)
}

/// OVS's fields in the experimenter class.
const fn et(number: u8, name: &'static str) -> Header {
    header(CLASS_EXPERIMENTER, number, NICIRA, name)
}

/// One that is understood and not sent.
const fn et_only(number: u8, name: &'static str) -> Header {
    Header { since: None, ..et(number, name) }
}

const fn onf(number: u8, name: &'static str) -> Header {
    header(CLASS_EXPERIMENTER, number, ONF, name)
}

/// How a value is written for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A decimal number; its mask is hexadecimal.
    Decimal,
    /// A hexadecimal number.
    Hex,
    /// A number of a port, or its word.
    Port,
    /// An Ethernet address.
    Mac,
    /// An IPv4 address, with a prefix length or a mask.
    Ipv4,
    /// An IPv6 address, with a prefix length or a mask.
    Ipv6,
    /// Words with `+` and `-` for single bits.
    Flags(&'static [(u32, &'static str)]),
    /// `no`, `yes`, `first`, `later`, `not_later`.
    Fragment,
    /// Namespace and type.
    PacketType,
}

/// What must be matched before a field may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// `eth_type` is one of these.
    EthType(&'static [u16]),
    /// `eth_type` is IPv4 or IPv6 and `ip_proto` is this one.
    Protocol(u8),
    /// ICMP for IPv6.
    Icmpv6(&'static [u8]),
    /// A VLAN tag is there.
    Vlan,
    /// `ct_state` and `eth_type`.
    Tracked(&'static [u16]),
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const IP: Needs = Needs::EthType(&[IPV4, IPV6]);
const ARP: Needs = Needs::EthType(&[0x0806, 0x8035]);
const MPLS: Needs = Needs::EthType(&[0x8847, 0x8848]);
const V4: Needs = Needs::EthType(&[IPV4]);
const V6: Needs = Needs::EthType(&[IPV6]);
const TCP: Needs = Needs::Protocol(6);
const UDP: Needs = Needs::Protocol(17);
const SCTP: Needs = Needs::Protocol(132);
const ICMP: Needs = Needs::Protocol(1);
const ICMP6: Needs = Needs::Icmpv6(&[]);
const TRACKED: Needs = Needs::Tracked(&[IPV4, IPV6]);
const NONE: Needs = Needs::Nothing;

/// `ct_state` (ovs-fields(7)).
const CT_STATE: Kind = Kind::Flags(&[
    (0x01, "new"),
    (0x02, "est"),
    (0x04, "rel"),
    (0x08, "rpl"),
    (0x10, "inv"),
    (0x20, "trk"),
    (0x40, "snat"),
    (0x80, "dnat"),
]);
const TUN_FLAGS: Kind = Kind::Flags(&[(0x1, "oam")]);
const TCP_FLAGS: Kind = Kind::Flags(&[
    (0x001, "fin"),
    (0x002, "syn"),
    (0x004, "rst"),
    (0x008, "psh"),
    (0x010, "ack"),
    (0x020, "urg"),
    (0x040, "ece"),
    (0x080, "cwr"),
    (0x100, "ns"),
]);

/// One row of the table.
#[derive(Debug)]
pub struct Spec {
    /// The name that is nobody else's.
    pub name: &'static str,
    /// Other names, some shared; the first is what a switch's dump says in a match.
    pub aliases: &'static [&'static str],
    /// Bytes on the wire.
    pub bytes: usize,
    /// Bits that mean something, the low ones.
    pub bits: u16,
    /// Whether a match may leave bits out.
    pub maskable: bool,
    /// How it is written.
    pub kind: Kind,
    /// What must be matched before.
    pub needs: Needs,
    /// Its forms on the wire, oldest first.
    pub headers: &'static [Header],
}

/// A field. It is a row of [the table](Field::all).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Field(u8);

macro_rules! fields {
    ($($constant:ident $name:literal $aliases:tt $bytes:literal/$bits:literal $mask:ident $kind:expr, $needs:expr, $headers:tt;)*) => {
        #[derive(Clone, Copy)]
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "names of constants, numbered by the compiler")]
        #[repr(u8)]
        enum Row { $($constant),* }

        impl Field {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Field = Field(Row::$constant as u8);)*
        }

        static TABLE: &[Spec] = &[$(Spec {
            name: $name,
            aliases: &$aliases,
            bytes: $bytes,
            bits: $bits,
            maskable: fields!(@ $mask),
            kind: $kind,
            needs: $needs,
            headers: &$headers,
        }),*];
    };
    (@ mask) => { true };
    (@ whole) => { false };
}

use Kind::{Decimal, Fragment, Hex, Ipv4, Ipv6, Mac, PacketType, Port};

#[rustfmt::skip]
mod table {
use super::*;
fields! {
    // constant     name              also                     wire/bits masks kind       needs     headers
    RECIRC_ID       "recirc_id"       []                        4/32  whole Decimal,      NONE, [nx(36, "NXM_NX_RECIRC_ID")];
    DP_HASH         "dp_hash"         []                        4/32  mask  Hex,          NONE, [nx(35, "NXM_NX_DP_HASH"), et_only(0, "NXOXM_ET_DP_HASH")];
    CONJ_ID         "conj_id"         []                        4/32  whole Decimal,      NONE, [nx(37, "NXM_NX_CONJ_ID")];
    PACKET_TYPE     "packet_type"     []                        4/32  whole PacketType,   NONE, [oxm(44, "OXM_OF_PACKET_TYPE")];
    IN_PORT_16      "in_port_16"      []                        2/16  whole Port,         NONE, [nxm(0, "NXM_OF_IN_PORT")];
    IN_PORT         "in_port"         ["in_port", "in_port_oxm"] 4/32 whole Port,         NONE, [oxm(0, "OXM_OF_IN_PORT")];
    ACTSET_OUTPUT   "actset_output"   []                        4/32  whole Port,         NONE, [onf(43, "ONFOXM_ET_ACTSET_OUTPUT"), oxm15(43, "OXM_OF_ACTSET_OUTPUT")];
    ETH_SRC         "eth_src"         ["dl_src"]                6/48  mask  Mac,          NONE, [nxm(2, "NXM_OF_ETH_SRC"), oxm(4, "OXM_OF_ETH_SRC")];
    ETH_DST         "eth_dst"         ["dl_dst"]                6/48  mask  Mac,          NONE, [nxm(1, "NXM_OF_ETH_DST"), oxm(3, "OXM_OF_ETH_DST")];
    ETH_TYPE        "eth_type"        ["dl_type"]               2/16  whole Hex,          NONE, [nxm(3, "NXM_OF_ETH_TYPE"), oxm(5, "OXM_OF_ETH_TYPE")];
    VLAN_TCI        "vlan_tci"        []                        2/16  mask  Hex,          NONE, [nxm(4, "NXM_OF_VLAN_TCI")];
    VLAN_VID        "vlan_vid"        []                        2/13  mask  Decimal,      NONE, [oxm(6, "OXM_OF_VLAN_VID")];
    VLAN_PCP        "vlan_pcp"        ["dl_vlan_pcp"]           1/3   whole Decimal,      Needs::Vlan, [oxm(7, "OXM_OF_VLAN_PCP")];
    MPLS_TC         "mpls_tc"         []                        1/3   whole Decimal,      MPLS, [oxm(35, "OXM_OF_MPLS_TC")];
    MPLS_BOS        "mpls_bos"        []                        1/1   whole Decimal,      MPLS, [oxm(36, "OXM_OF_MPLS_BOS")];
    MPLS_TTL        "mpls_ttl"        []                        1/8   whole Decimal,      MPLS, [nx(30, "NXM_NX_MPLS_TTL")];
    MPLS_LABEL      "mpls_label"      []                        4/20  whole Decimal,      MPLS, [oxm(34, "OXM_OF_MPLS_LABEL")];
    IP_SRC          "ip_src"          ["nw_src"]                4/32  mask  Ipv4,         V4,   [nxm(7, "NXM_OF_IP_SRC"), oxm(11, "OXM_OF_IPV4_SRC")];
    IP_DST          "ip_dst"          ["nw_dst"]                4/32  mask  Ipv4,         V4,   [nxm(8, "NXM_OF_IP_DST"), oxm(12, "OXM_OF_IPV4_DST")];
    IPV6_SRC        "ipv6_src"        []                       16/128 mask  Ipv6,         V6,   [nx(19, "NXM_NX_IPV6_SRC"), oxm(26, "OXM_OF_IPV6_SRC")];
    IPV6_DST        "ipv6_dst"        []                       16/128 mask  Ipv6,         V6,   [nx(20, "NXM_NX_IPV6_DST"), oxm(27, "OXM_OF_IPV6_DST")];
    IPV6_LABEL      "ipv6_label"      ["ipv6_label", "ipv6_flabel"] 4/20 mask Hex,        V6,   [nx(27, "NXM_NX_IPV6_LABEL"), oxm(28, "OXM_OF_IPV6_FLABEL")];
    IP_PROTO        "nw_proto"        ["nw_proto", "ip_proto"]  1/8   whole Decimal,      IP,   [nxm(6, "NXM_OF_IP_PROTO"), oxm(10, "OXM_OF_IP_PROTO")];
    IP_TOS          "ip_tos_byte"     []                        1/8   whole Decimal,      IP,   [nxm(5, "NXM_OF_IP_TOS")];
    IP_DSCP         "ip_dscp"         []                        1/6   whole Decimal,      IP,   [oxm(8, "OXM_OF_IP_DSCP")];
    IP_ECN          "nw_ecn"          ["nw_ecn", "ip_ecn"]      1/2   whole Decimal,      IP,   [nx(28, "NXM_NX_IP_ECN"), oxm(9, "OXM_OF_IP_ECN")];
    IP_TTL          "nw_ttl"          []                        1/8   whole Decimal,      IP,   [nx(29, "NXM_NX_IP_TTL")];
    IP_FRAG         "ip_frag"         ["nw_frag"]               1/2   mask  Fragment,     IP,   [nx(26, "NXM_NX_IP_FRAG")];
    ARP_OP          "arp_op"          []                        2/16  whole Decimal,      ARP,  [nxm(15, "NXM_OF_ARP_OP"), oxm(21, "OXM_OF_ARP_OP")];
    ARP_SPA         "arp_spa"         ["arp_spa", "nw_src"]     4/32  mask  Ipv4,         ARP,  [nxm(16, "NXM_OF_ARP_SPA"), oxm(22, "OXM_OF_ARP_SPA")];
    ARP_TPA         "arp_tpa"         ["arp_tpa", "nw_dst"]     4/32  mask  Ipv4,         ARP,  [nxm(17, "NXM_OF_ARP_TPA"), oxm(23, "OXM_OF_ARP_TPA")];
    ARP_SHA         "arp_sha"         []                        6/48  mask  Mac,          ARP,  [nx(17, "NXM_NX_ARP_SHA"), oxm(24, "OXM_OF_ARP_SHA")];
    ARP_THA         "arp_tha"         []                        6/48  mask  Mac,          ARP,  [nx(18, "NXM_NX_ARP_THA"), oxm(25, "OXM_OF_ARP_THA")];
    TCP_SRC         "tcp_src"         ["tp_src"]                2/16  mask  Decimal,      TCP,  [nxm(9, "NXM_OF_TCP_SRC"), oxm(13, "OXM_OF_TCP_SRC")];
    TCP_DST         "tcp_dst"         ["tp_dst"]                2/16  mask  Decimal,      TCP,  [nxm(10, "NXM_OF_TCP_DST"), oxm(14, "OXM_OF_TCP_DST")];
    TCP_FLAGS       "tcp_flags"       []                        2/12  mask  super::TCP_FLAGS, TCP, [nx(34, "NXM_NX_TCP_FLAGS"), onf(42, "ONFOXM_ET_TCP_FLAGS"), oxm15(42, "OXM_OF_TCP_FLAGS")];
    UDP_SRC         "udp_src"         ["tp_src"]                2/16  mask  Decimal,      UDP,  [nxm(11, "NXM_OF_UDP_SRC"), oxm(15, "OXM_OF_UDP_SRC")];
    UDP_DST         "udp_dst"         ["tp_dst"]                2/16  mask  Decimal,      UDP,  [nxm(12, "NXM_OF_UDP_DST"), oxm(16, "OXM_OF_UDP_DST")];
    SCTP_SRC        "sctp_src"        ["tp_src"]                2/16  mask  Decimal,      SCTP, [oxm(17, "OXM_OF_SCTP_SRC")];
    SCTP_DST        "sctp_dst"        ["tp_dst"]                2/16  mask  Decimal,      SCTP, [oxm(18, "OXM_OF_SCTP_DST")];
    ICMP_TYPE       "icmp_type"       ["icmp_type", "icmpv4_type"] 1/8 whole Decimal,     ICMP, [nxm(13, "NXM_OF_ICMP_TYPE"), oxm(19, "OXM_OF_ICMPV4_TYPE")];
    ICMP_CODE       "icmp_code"       ["icmp_code", "icmpv4_code"] 1/8 whole Decimal,     ICMP, [nxm(14, "NXM_OF_ICMP_CODE"), oxm(20, "OXM_OF_ICMPV4_CODE")];
    ICMPV6_TYPE     "icmpv6_type"     ["icmp_type"]             1/8   whole Decimal,      ICMP6, [nx(21, "NXM_NX_ICMPV6_TYPE"), oxm(29, "OXM_OF_ICMPV6_TYPE")];
    ICMPV6_CODE     "icmpv6_code"     ["icmp_code"]             1/8   whole Decimal,      ICMP6, [nx(22, "NXM_NX_ICMPV6_CODE"), oxm(30, "OXM_OF_ICMPV6_CODE")];
    ND_TARGET       "nd_target"       []                       16/128 mask  Ipv6,         Needs::Icmpv6(&[135, 136]), [nx(23, "NXM_NX_ND_TARGET"), oxm(31, "OXM_OF_IPV6_ND_TARGET")];
    ND_SLL          "nd_sll"          []                        6/48  mask  Mac,          Needs::Icmpv6(&[135]), [nx(24, "NXM_NX_ND_SLL"), oxm(32, "OXM_OF_IPV6_ND_SLL")];
    ND_TLL          "nd_tll"          []                        6/48  mask  Mac,          Needs::Icmpv6(&[136]), [nx(25, "NXM_NX_ND_TLL"), oxm(33, "OXM_OF_IPV6_ND_TLL")];
    TUN_ID          "tun_id"          ["tun_id", "tunnel_id"]   8/64  mask  Hex,          NONE, [nx(16, "NXM_NX_TUN_ID"), oxm(38, "OXM_OF_TUNNEL_ID")];
    TUN_SRC         "tun_src"         []                        4/32  mask  Ipv4,         NONE, [nx(31, "NXM_NX_TUN_IPV4_SRC")];
    TUN_DST         "tun_dst"         []                        4/32  mask  Ipv4,         NONE, [nx(32, "NXM_NX_TUN_IPV4_DST")];
    TUN_IPV6_SRC    "tun_ipv6_src"    []                       16/128 mask  Ipv6,         NONE, [nx(109, "NXM_NX_TUN_IPV6_SRC")];
    TUN_IPV6_DST    "tun_ipv6_dst"    []                       16/128 mask  Ipv6,         NONE, [nx(110, "NXM_NX_TUN_IPV6_DST")];
    TUN_FLAGS       "tun_flags"       []                        2/1   mask  TUN_FLAGS,    NONE, [nx(104, "NXM_NX_TUN_FLAGS")];
    TUN_GBP_ID      "tun_gbp_id"      []                        2/16  mask  Decimal,      NONE, [nx(38, "NXM_NX_TUN_GBP_ID")];
    TUN_GBP_FLAGS   "tun_gbp_flags"   []                        1/8   mask  Hex,          NONE, [nx(39, "NXM_NX_TUN_GBP_FLAGS")];
    TUN_ERSPAN_IDX  "tun_erspan_idx"  []                        4/20  mask  Hex,          NONE, [et(11, "NXOXM_ET_ERSPAN_IDX")];
    TUN_ERSPAN_VER  "tun_erspan_ver"  []                        1/4   mask  Decimal,      NONE, [et(12, "NXOXM_ET_ERSPAN_VER")];
    TUN_ERSPAN_DIR  "tun_erspan_dir"  []                        1/1   mask  Decimal,      NONE, [et(13, "NXOXM_ET_ERSPAN_DIR")];
    TUN_ERSPAN_HWID "tun_erspan_hwid" []                        1/6   mask  Hex,          NONE, [et(14, "NXOXM_ET_ERSPAN_HWID")];
    TUN_GTPU_FLAGS  "tun_gtpu_flags"  []                        1/8   mask  Hex,          NONE, [et(15, "NXOXM_ET_GTPU_FLAGS")];
    TUN_GTPU_MSGTYPE "tun_gtpu_msgtype" []                      1/8   mask  Decimal,      NONE, [et(16, "NXOXM_ET_GTPU_MSGTYPE")];
    TUN_METADATA0  "tun_metadata0"  []                       16/128 mask  Hex,          NONE, [nx(40, "NXM_NX_TUN_METADATA0")];
    TUN_METADATA1  "tun_metadata1"  []                       16/128 mask  Hex,          NONE, [nx(41, "NXM_NX_TUN_METADATA1")];
    TUN_METADATA2  "tun_metadata2"  []                       16/128 mask  Hex,          NONE, [nx(42, "NXM_NX_TUN_METADATA2")];
    TUN_METADATA3  "tun_metadata3"  []                       16/128 mask  Hex,          NONE, [nx(43, "NXM_NX_TUN_METADATA3")];
    TUN_METADATA4  "tun_metadata4"  []                       16/128 mask  Hex,          NONE, [nx(44, "NXM_NX_TUN_METADATA4")];
    TUN_METADATA5  "tun_metadata5"  []                       16/128 mask  Hex,          NONE, [nx(45, "NXM_NX_TUN_METADATA5")];
    TUN_METADATA6  "tun_metadata6"  []                       16/128 mask  Hex,          NONE, [nx(46, "NXM_NX_TUN_METADATA6")];
    TUN_METADATA7  "tun_metadata7"  []                       16/128 mask  Hex,          NONE, [nx(47, "NXM_NX_TUN_METADATA7")];
    TUN_METADATA8  "tun_metadata8"  []                       16/128 mask  Hex,          NONE, [nx(48, "NXM_NX_TUN_METADATA8")];
    TUN_METADATA9  "tun_metadata9"  []                       16/128 mask  Hex,          NONE, [nx(49, "NXM_NX_TUN_METADATA9")];
    TUN_METADATA10 "tun_metadata10" []                       16/128 mask  Hex,          NONE, [nx(50, "NXM_NX_TUN_METADATA10")];
    TUN_METADATA11 "tun_metadata11" []                       16/128 mask  Hex,          NONE, [nx(51, "NXM_NX_TUN_METADATA11")];
    TUN_METADATA12 "tun_metadata12" []                       16/128 mask  Hex,          NONE, [nx(52, "NXM_NX_TUN_METADATA12")];
    TUN_METADATA13 "tun_metadata13" []                       16/128 mask  Hex,          NONE, [nx(53, "NXM_NX_TUN_METADATA13")];
    TUN_METADATA14 "tun_metadata14" []                       16/128 mask  Hex,          NONE, [nx(54, "NXM_NX_TUN_METADATA14")];
    TUN_METADATA15 "tun_metadata15" []                       16/128 mask  Hex,          NONE, [nx(55, "NXM_NX_TUN_METADATA15")];
    TUN_METADATA16 "tun_metadata16" []                       16/128 mask  Hex,          NONE, [nx(56, "NXM_NX_TUN_METADATA16")];
    TUN_METADATA17 "tun_metadata17" []                       16/128 mask  Hex,          NONE, [nx(57, "NXM_NX_TUN_METADATA17")];
    TUN_METADATA18 "tun_metadata18" []                       16/128 mask  Hex,          NONE, [nx(58, "NXM_NX_TUN_METADATA18")];
    TUN_METADATA19 "tun_metadata19" []                       16/128 mask  Hex,          NONE, [nx(59, "NXM_NX_TUN_METADATA19")];
    TUN_METADATA20 "tun_metadata20" []                       16/128 mask  Hex,          NONE, [nx(60, "NXM_NX_TUN_METADATA20")];
    TUN_METADATA21 "tun_metadata21" []                       16/128 mask  Hex,          NONE, [nx(61, "NXM_NX_TUN_METADATA21")];
    TUN_METADATA22 "tun_metadata22" []                       16/128 mask  Hex,          NONE, [nx(62, "NXM_NX_TUN_METADATA22")];
    TUN_METADATA23 "tun_metadata23" []                       16/128 mask  Hex,          NONE, [nx(63, "NXM_NX_TUN_METADATA23")];
    TUN_METADATA24 "tun_metadata24" []                       16/128 mask  Hex,          NONE, [nx(64, "NXM_NX_TUN_METADATA24")];
    TUN_METADATA25 "tun_metadata25" []                       16/128 mask  Hex,          NONE, [nx(65, "NXM_NX_TUN_METADATA25")];
    TUN_METADATA26 "tun_metadata26" []                       16/128 mask  Hex,          NONE, [nx(66, "NXM_NX_TUN_METADATA26")];
    TUN_METADATA27 "tun_metadata27" []                       16/128 mask  Hex,          NONE, [nx(67, "NXM_NX_TUN_METADATA27")];
    TUN_METADATA28 "tun_metadata28" []                       16/128 mask  Hex,          NONE, [nx(68, "NXM_NX_TUN_METADATA28")];
    TUN_METADATA29 "tun_metadata29" []                       16/128 mask  Hex,          NONE, [nx(69, "NXM_NX_TUN_METADATA29")];
    TUN_METADATA30 "tun_metadata30" []                       16/128 mask  Hex,          NONE, [nx(70, "NXM_NX_TUN_METADATA30")];
    TUN_METADATA31 "tun_metadata31" []                       16/128 mask  Hex,          NONE, [nx(71, "NXM_NX_TUN_METADATA31")];
    TUN_METADATA32 "tun_metadata32" []                       16/128 mask  Hex,          NONE, [nx(72, "NXM_NX_TUN_METADATA32")];
    TUN_METADATA33 "tun_metadata33" []                       16/128 mask  Hex,          NONE, [nx(73, "NXM_NX_TUN_METADATA33")];
    TUN_METADATA34 "tun_metadata34" []                       16/128 mask  Hex,          NONE, [nx(74, "NXM_NX_TUN_METADATA34")];
    TUN_METADATA35 "tun_metadata35" []                       16/128 mask  Hex,          NONE, [nx(75, "NXM_NX_TUN_METADATA35")];
    TUN_METADATA36 "tun_metadata36" []                       16/128 mask  Hex,          NONE, [nx(76, "NXM_NX_TUN_METADATA36")];
    TUN_METADATA37 "tun_metadata37" []                       16/128 mask  Hex,          NONE, [nx(77, "NXM_NX_TUN_METADATA37")];
    TUN_METADATA38 "tun_metadata38" []                       16/128 mask  Hex,          NONE, [nx(78, "NXM_NX_TUN_METADATA38")];
    TUN_METADATA39 "tun_metadata39" []                       16/128 mask  Hex,          NONE, [nx(79, "NXM_NX_TUN_METADATA39")];
    TUN_METADATA40 "tun_metadata40" []                       16/128 mask  Hex,          NONE, [nx(80, "NXM_NX_TUN_METADATA40")];
    TUN_METADATA41 "tun_metadata41" []                       16/128 mask  Hex,          NONE, [nx(81, "NXM_NX_TUN_METADATA41")];
    TUN_METADATA42 "tun_metadata42" []                       16/128 mask  Hex,          NONE, [nx(82, "NXM_NX_TUN_METADATA42")];
    TUN_METADATA43 "tun_metadata43" []                       16/128 mask  Hex,          NONE, [nx(83, "NXM_NX_TUN_METADATA43")];
    TUN_METADATA44 "tun_metadata44" []                       16/128 mask  Hex,          NONE, [nx(84, "NXM_NX_TUN_METADATA44")];
    TUN_METADATA45 "tun_metadata45" []                       16/128 mask  Hex,          NONE, [nx(85, "NXM_NX_TUN_METADATA45")];
    TUN_METADATA46 "tun_metadata46" []                       16/128 mask  Hex,          NONE, [nx(86, "NXM_NX_TUN_METADATA46")];
    TUN_METADATA47 "tun_metadata47" []                       16/128 mask  Hex,          NONE, [nx(87, "NXM_NX_TUN_METADATA47")];
    TUN_METADATA48 "tun_metadata48" []                       16/128 mask  Hex,          NONE, [nx(88, "NXM_NX_TUN_METADATA48")];
    TUN_METADATA49 "tun_metadata49" []                       16/128 mask  Hex,          NONE, [nx(89, "NXM_NX_TUN_METADATA49")];
    TUN_METADATA50 "tun_metadata50" []                       16/128 mask  Hex,          NONE, [nx(90, "NXM_NX_TUN_METADATA50")];
    TUN_METADATA51 "tun_metadata51" []                       16/128 mask  Hex,          NONE, [nx(91, "NXM_NX_TUN_METADATA51")];
    TUN_METADATA52 "tun_metadata52" []                       16/128 mask  Hex,          NONE, [nx(92, "NXM_NX_TUN_METADATA52")];
    TUN_METADATA53 "tun_metadata53" []                       16/128 mask  Hex,          NONE, [nx(93, "NXM_NX_TUN_METADATA53")];
    TUN_METADATA54 "tun_metadata54" []                       16/128 mask  Hex,          NONE, [nx(94, "NXM_NX_TUN_METADATA54")];
    TUN_METADATA55 "tun_metadata55" []                       16/128 mask  Hex,          NONE, [nx(95, "NXM_NX_TUN_METADATA55")];
    TUN_METADATA56 "tun_metadata56" []                       16/128 mask  Hex,          NONE, [nx(96, "NXM_NX_TUN_METADATA56")];
    TUN_METADATA57 "tun_metadata57" []                       16/128 mask  Hex,          NONE, [nx(97, "NXM_NX_TUN_METADATA57")];
    TUN_METADATA58 "tun_metadata58" []                       16/128 mask  Hex,          NONE, [nx(98, "NXM_NX_TUN_METADATA58")];
    TUN_METADATA59 "tun_metadata59" []                       16/128 mask  Hex,          NONE, [nx(99, "NXM_NX_TUN_METADATA59")];
    TUN_METADATA60 "tun_metadata60" []                       16/128 mask  Hex,          NONE, [nx(100, "NXM_NX_TUN_METADATA60")];
    TUN_METADATA61 "tun_metadata61" []                       16/128 mask  Hex,          NONE, [nx(101, "NXM_NX_TUN_METADATA61")];
    TUN_METADATA62 "tun_metadata62" []                       16/128 mask  Hex,          NONE, [nx(102, "NXM_NX_TUN_METADATA62")];
    TUN_METADATA63 "tun_metadata63" []                       16/128 mask  Hex,          NONE, [nx(103, "NXM_NX_TUN_METADATA63")];
    REG0            "reg0"            []                        4/32  mask  Hex,          NONE, [nx(0, "NXM_NX_REG0")];
    REG1            "reg1"            []                        4/32  mask  Hex,          NONE, [nx(1, "NXM_NX_REG1")];
    REG2            "reg2"            []                        4/32  mask  Hex,          NONE, [nx(2, "NXM_NX_REG2")];
    REG3            "reg3"            []                        4/32  mask  Hex,          NONE, [nx(3, "NXM_NX_REG3")];
    REG4            "reg4"            []                        4/32  mask  Hex,          NONE, [nx(4, "NXM_NX_REG4")];
    REG5            "reg5"            []                        4/32  mask  Hex,          NONE, [nx(5, "NXM_NX_REG5")];
    REG6            "reg6"            []                        4/32  mask  Hex,          NONE, [nx(6, "NXM_NX_REG6")];
    REG7            "reg7"            []                        4/32  mask  Hex,          NONE, [nx(7, "NXM_NX_REG7")];
    REG8            "reg8"            []                        4/32  mask  Hex,          NONE, [nx(8, "NXM_NX_REG8")];
    REG9            "reg9"            []                        4/32  mask  Hex,          NONE, [nx(9, "NXM_NX_REG9")];
    REG10           "reg10"           []                        4/32  mask  Hex,          NONE, [nx(10, "NXM_NX_REG10")];
    REG11           "reg11"           []                        4/32  mask  Hex,          NONE, [nx(11, "NXM_NX_REG11")];
    REG12           "reg12"           []                        4/32  mask  Hex,          NONE, [nx(12, "NXM_NX_REG12")];
    REG13           "reg13"           []                        4/32  mask  Hex,          NONE, [nx(13, "NXM_NX_REG13")];
    REG14           "reg14"           []                        4/32  mask  Hex,          NONE, [nx(14, "NXM_NX_REG14")];
    REG15           "reg15"           []                        4/32  mask  Hex,          NONE, [nx(15, "NXM_NX_REG15")];
    XREG0           "xreg0"           []                        8/64  mask  Hex,          NONE, [pkt(0, "OXM_OF_PKT_REG0")];
    XREG1           "xreg1"           []                        8/64  mask  Hex,          NONE, [pkt(1, "OXM_OF_PKT_REG1")];
    XREG2           "xreg2"           []                        8/64  mask  Hex,          NONE, [pkt(2, "OXM_OF_PKT_REG2")];
    XREG3           "xreg3"           []                        8/64  mask  Hex,          NONE, [pkt(3, "OXM_OF_PKT_REG3")];
    XREG4           "xreg4"           []                        8/64  mask  Hex,          NONE, [pkt(4, "OXM_OF_PKT_REG4")];
    XREG5           "xreg5"           []                        8/64  mask  Hex,          NONE, [pkt(5, "OXM_OF_PKT_REG5")];
    XREG6           "xreg6"           []                        8/64  mask  Hex,          NONE, [pkt(6, "OXM_OF_PKT_REG6")];
    XREG7           "xreg7"           []                        8/64  mask  Hex,          NONE, [pkt(7, "OXM_OF_PKT_REG7")];
    XXREG0          "xxreg0"          []                       16/128 mask  Hex,          NONE, [nx(111, "NXM_NX_XXREG0")];
    XXREG1          "xxreg1"          []                       16/128 mask  Hex,          NONE, [nx(112, "NXM_NX_XXREG1")];
    XXREG2          "xxreg2"          []                       16/128 mask  Hex,          NONE, [nx(113, "NXM_NX_XXREG2")];
    XXREG3          "xxreg3"          []                       16/128 mask  Hex,          NONE, [nx(114, "NXM_NX_XXREG3")];
    PKT_MARK        "pkt_mark"        []                        4/32  mask  Hex,          NONE, [nx(33, "NXM_NX_PKT_MARK")];
    CT_STATE        "ct_state"        []                        4/32  mask  super::CT_STATE, NONE, [nx(105, "NXM_NX_CT_STATE")];
    CT_ZONE         "ct_zone"         []                        2/16  whole Hex,          NONE, [nx(106, "NXM_NX_CT_ZONE")];
    CT_MARK         "ct_mark"         []                        4/32  mask  Hex,          NONE, [nx(107, "NXM_NX_CT_MARK")];
    CT_LABEL        "ct_label"        []                       16/128 mask  Hex,          NONE, [nx(108, "NXM_NX_CT_LABEL")];
    CT_NW_SRC       "ct_nw_src"       []                        4/32  mask  Ipv4,         Needs::Tracked(&[IPV4]), [nx(120, "NXM_NX_CT_NW_SRC")];
    CT_NW_DST       "ct_nw_dst"       []                        4/32  mask  Ipv4,         Needs::Tracked(&[IPV4]), [nx(121, "NXM_NX_CT_NW_DST")];
    CT_IPV6_SRC     "ct_ipv6_src"     []                       16/128 mask  Ipv6,         Needs::Tracked(&[IPV6]), [nx(122, "NXM_NX_CT_IPV6_SRC")];
    CT_IPV6_DST     "ct_ipv6_dst"     []                       16/128 mask  Ipv6,         Needs::Tracked(&[IPV6]), [nx(123, "NXM_NX_CT_IPV6_DST")];
    CT_NW_PROTO     "ct_nw_proto"     []                        1/8   whole Decimal,      TRACKED, [nx(119, "NXM_NX_CT_NW_PROTO")];
    CT_TP_SRC       "ct_tp_src"       []                        2/16  mask  Decimal,      TRACKED, [nx(124, "NXM_NX_CT_TP_SRC")];
    CT_TP_DST       "ct_tp_dst"       []                        2/16  mask  Decimal,      TRACKED, [nx(125, "NXM_NX_CT_TP_DST")];
    METADATA        "metadata"        []                        8/64  mask  Hex,          NONE, [oxm(2, "OXM_OF_METADATA")];
}
pub(super) fn rows() -> &'static [Spec] { TABLE }
}

impl Field {
    /// Every field, in the order of the table.
    pub fn all() -> impl Iterator<Item = Field> {
        (0..table::rows().len() as u8).map(Field)
    }

    /// Its row.
    #[must_use]
    pub fn spec(self) -> &'static Spec {
        &table::rows()[usize::from(self.0)]
    }

    /// `regN`, for N below 16.
    #[must_use]
    pub fn reg(number: u8) -> Option<Field> {
        (number < 16).then(|| Field(Self::REG0.0 + number))
    }

    /// `tun_metadataN`, for N below 64: an option of a tunnel, as the switch's map says ([`tunnel`](crate::tunnel)). Of options with more than 16
    /// bytes the last 16 have a value here; in a match that a switch tells, longer ones stay bytes.
    #[must_use]
    pub fn option(number: u8) -> Option<Field> {
        (number < 64).then(|| Field(Self::TUN_METADATA0.0 + number))
    }

    /// N, of `tun_metadataN`.
    #[must_use]
    pub fn tun_metadata(self) -> Option<u8> {
        (Self::TUN_METADATA0..=Self::TUN_METADATA63).contains(&self).then(|| self.0 - Self::TUN_METADATA0.0)
    }

    /// The field `number` rows below.
    pub(crate) fn nth(first: Field, number: u8) -> Field {
        Field((first.0 + number).min(table::rows().len() as u8 - 1))
    }

    /// All bits that mean something.
    #[must_use]
    pub fn full_mask(self) -> u128 {
        u128::MAX >> (128 - self.spec().bits)
    }

    /// The header in a match or a set-field action of this version.
    #[must_use]
    pub fn header(self, version: Version) -> Header {
        let headers = self.spec().headers;
        let fit = |header: &&Header| header.since.is_some_and(|since| since <= version);
        *headers.iter().rev().find(fit).unwrap_or(&headers[0])
    }

    /// For a register made of smaller ones: the first of those, of 32 bits, and how many they are. The first has the highest bits.
    #[must_use]
    pub fn parts(self) -> Option<(Field, u8)> {
        let (first, parts) = match self {
            Self::XREG0
            | Self::XREG1
            | Self::XREG2
            | Self::XREG3
            | Self::XREG4
            | Self::XREG5
            | Self::XREG6
            | Self::XREG7 => (Self::XREG0, 2),
            Self::XXREG0 | Self::XXREG1 | Self::XXREG2 | Self::XXREG3 => (Self::XXREG0, 4),
            _ => return None,
        };
        Self::reg((self.0 - first.0) * parts).map(|reg| (reg, parts))
    }

    /// The header in an action of the extensions: the oldest, as Open vSwitch writes it.
    #[must_use]
    pub fn extension_header(self) -> Header {
        self.spec().headers[0]
    }

    /// The field with this class, number and experimenter, in whatever version.
    #[must_use]
    pub fn from_header(class: u16, number: u8, experimenter: u32) -> Option<Field> {
        // Decoding a dump asks this for every field of every flow.
        static OPENFLOW: std::sync::LazyLock<[Option<Field>; 256]> =
            std::sync::LazyLock::new(|| by_number(CLASS_OPENFLOW));
        static NX: std::sync::LazyLock<[Option<Field>; 256]> = std::sync::LazyLock::new(|| by_number(1));
        match class {
            CLASS_OPENFLOW => OPENFLOW[usize::from(number)],
            1 => NX[usize::from(number)],
            _ => Self::all().find(|field| {
                let mut headers = field.spec().headers.iter();
                headers.any(|h| h.class == class && h.number == number && h.experimenter == experimenter)
            }),
        }
    }

    /// Every field that goes by this name: its own, another, or that of a header.
    pub(crate) fn named(name: &str) -> &'static [Field] {
        type Names = std::collections::HashMap<&'static str, Vec<Field>>;
        // Reading a hundred thousand flows asks this for every field of each.
        static NAMES: std::sync::LazyLock<Names> = std::sync::LazyLock::new(|| {
            let mut out = Names::new();
            for field in Field::all() {
                let spec = field.spec();
                let names = spec.aliases.iter().copied().chain(spec.headers.iter().map(|header| header.name));
                for name in std::iter::once(spec.name).chain(names) {
                    let fields = out.entry(name).or_default();
                    if fields.last() != Some(&field) {
                        fields.push(field);
                    }
                }
            }
            out
        });
        NAMES.get(name).map_or(&[], Vec::as_slice)
    }

    /// The field of this name. A name that several share means the first of them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Field> {
        let named = Self::named(name);
        named.iter().find(|field| field.spec().name == name).or(named.first()).copied()
    }
}

fn by_number(class: u16) -> [Option<Field>; 256] {
    let mut out = [None; 256];
    for field in Field::all() {
        for header in field.spec().headers.iter().filter(|header| header.class == class) {
            out[usize::from(header.number)] = Some(field);
        }
    }
    out
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().name)
    }
}

/// Some consecutive bits of a field.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Subfield {
    /// The field.
    pub field: Field,
    /// The lowest bit.
    pub offset: u16,
    /// How many bits.
    pub bits: u16,
}

impl Subfield {
    /// All bits of a field.
    #[must_use]
    pub fn whole(field: Field) -> Self {
        Self { field, offset: 0, bits: field.spec().bits }
    }

    /// Whether the bits are within the field.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.bits > 0 && u32::from(self.offset) + u32::from(self.bits) <= u32::from(self.field.spec().bits)
    }

    /// A value at its place within the field, and the mask of these bits there.
    #[must_use]
    pub fn place(&self, value: u128) -> (u128, u128) {
        let mask = (u128::MAX >> (128 - self.bits.clamp(1, 128))) << self.offset.min(127);
        ((value << self.offset.min(127)) & mask, mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let mut seen = std::collections::HashSet::new();
        for field in Field::all() {
            let spec = field.spec();
            assert!(usize::from(spec.bits) <= spec.bytes * 8 && spec.bits > 0, "{}", spec.name);
            assert_eq!(Field::from_name(spec.name), Some(field), "{}", spec.name);
            for header in spec.headers {
                assert!(seen.insert((header.class, header.number, header.experimenter)), "{} twice", header.name);
                assert_eq!(Field::from_header(header.class, header.number, header.experimenter), Some(field));
                assert_eq!(Field::from_name(header.name), Some(field));
            }
        }
        assert_eq!(Field::from_header(0x8000, 200, 0), None);
        assert_eq!(Field::reg(15), Some(Field::REG15));
    }

    #[test]
    fn a_value_is_put_into_place() {
        let subfield = Subfield { field: Field::REG0, offset: 4, bits: 8 };
        assert_eq!(subfield.place(0xfab), (0xab0, 0xff0));
        assert!(subfield.is_valid());
        assert!(!Subfield { field: Field::REG0, offset: 31, bits: 2 }.is_valid());
    }
}
