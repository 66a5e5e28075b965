"""What is asked at each kind of place, in order: the first answer is the cause."""

from __future__ import annotations

from harness.causes import Code
from harness.diagnosis import questions, reverse, routing, stack, traffic, unsent
from harness.diagnosis.place import Kind
from harness.diagnosis.scene import Checks

_CONTAINERS = (
    questions.container, (Code.ENGINE_DOWN, Code.CONTAINER_NOT_RUNNING, Code.NETWORK_MISSING),
)  # fmt: skip
_ATTACHED = (
    questions.attached,
    (
        Code.ENDPOINT_DOWN, Code.SUBINTERFACE_MISSING, Code.PARENT_DOWN, Code.GATEWAY_DOWN,
        Code.VLAN_ID_MISMATCH, Code.TRUNK_DISCONNECTED,
    ),
)  # fmt: skip
_ADDRESS = (
    questions.own_address,
    (
        Code.ENDPOINT_ADDRESS_MISSING, Code.GATEWAY_ADDRESS_MISSING, Code.PREFIX_LENGTH_WRONG,
        Code.ENDPOINT_ADDRESS_WRONG, Code.GATEWAY_ADDRESS_WRONG,
    ),
)  # fmt: skip
_ROUTES = (Code.POLICY_RULE_DIVERTS, Code.ROUTE_BLACKHOLE, Code.DEFAULT_ROUTE_MISSING,
           Code.DEFAULT_ROUTE_WRONG)  # fmt: skip
_RULES = (Code.RAW_DROP, Code.MANGLE_DROP, Code.L4_FILTERED, Code.CONNTRACK_INVALID,
          Code.REJECTED_BY_RULE, Code.IPSEC_POLICY_BLOCK)  # fmt: skip
_FORWARDING = (Code.FORWARD_POLICY_DROP, Code.FORWARD_RULE_DROP, Code.FORWARD_RULE_MISSING,
               Code.RULE_ORDER, Code.WRONG_INTERFACE_IN_RULE)  # fmt: skip
_NEIGHBOUR = (routing.neighbour, (Code.STALE_NEIGHBOUR, Code.DUPLICATE_ADDRESS,
                                  Code.DUPLICATE_MAC, Code.PROXY_ARP_LEAK))  # fmt: skip
_FULL = (stack.exhausted, (Code.CONNTRACK_FULL, Code.NEIGHBOUR_OVERFLOW))

_TWICE = (questions.twice, (Code.DUPLICATE_ADDRESS,))
_MACS = (questions.mac, (Code.DUPLICATE_MAC,))
_ARP = (questions.resolving, (Code.ARP_DISABLED,))
_LARGE = (stack.too_large, (Code.MTU_MISMATCH,))
_BELOW = (
    questions.on_wire,
    (
        Code.ARP_FILTERED, Code.NDP_FILTERED, Code.TRUNK_DROPS_VLAN, Code.PORT_SECURITY,
        Code.MULTICAST_LOST_TO_MACVLAN, Code.BRIDGE_NETFILTER,
    ),
)  # fmt: skip
_QUEUE = (questions.no_queue, (Code.BROADCAST_LOST_TO_MACVLAN,))
_BACK = (questions.sent_back, (Code.MACVLAN_PARENT_ISOLATION,))
_NO_PORT = (unsent.no_port, (Code.PROBE_NOT_SENT,))
_NO_ROOM = (unsent.full_queue, (Code.PROBE_NOT_SENT,))
_SHOT = (unsent.shot, (Code.OUTPUT_DROP,))
_RETURNED = (reverse.path, (Code.RP_FILTER_DROP,))

FIRST: dict[Kind, Checks] = {
    Kind.SENDER: (_CONTAINERS, _ATTACHED),
    Kind.WIRE: (_CONTAINERS, _ATTACHED),
    Kind.ROUTER: ((stack.forwards, (Code.IP_FORWARD_OFF,)), _ATTACHED, _ADDRESS),
    Kind.RECEIVER: (_CONTAINERS, _ADDRESS),
}
"""What is asked before it is asked whether frames changed their tag on the way."""

THEN: dict[Kind, Checks] = {
    Kind.SENDER: (
        _NO_PORT, _ADDRESS, _TWICE, _MACS, (questions.route, _ROUTES),
        (questions.sent_out, (Code.OUTPUT_DROP, *_RULES)), _ARP, _NEIGHBOUR, _NO_ROOM, _SHOT,
        _BELOW, _LARGE, _FULL,
    ),
    Kind.WIRE: (
        _MACS, _NEIGHBOUR, (questions.mode, (Code.MACVLAN_MODE_ISOLATES,)), _QUEUE, _LARGE,
        _BELOW, _BACK, (questions.asked_address, _ADDRESS[1]),
        (traffic.selective, (Code.TRUNK_DROPS_VLAN,)), _TWICE, _FULL,
    ),
    Kind.ROUTER: (
        _NEIGHBOUR, _MACS, (questions.through, (*_FORWARDING, *_RULES)), _RETURNED,
        (questions.routed, _ROUTES), _LARGE,
        (questions.short_lived, (Code.TTL_EXPIRED,)), _ARP, _BELOW, _TWICE, _FULL,
    ),
    Kind.RECEIVER: (
        _NEIGHBOUR, _MACS, _ARP, (questions.taken_in, (Code.INPUT_DROP, *_RULES)), _RETURNED,
        (questions.echo_ignored, (Code.L4_FILTERED,)), (questions.answer_route, _ROUTES),
        (questions.answer_output, (Code.OUTPUT_DROP, *_RULES)), _NO_ROOM, _SHOT, _ATTACHED, _LARGE,
        _BELOW, _TWICE, (questions.proxied, (Code.PROXY_ARP_LEAK,)), _FULL,
    ),
}  # fmt: skip
"""What is asked after that."""
