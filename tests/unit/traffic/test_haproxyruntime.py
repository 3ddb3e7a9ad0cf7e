"""HAProxy's answers, as a real 2.6 gives them, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.traffic.adapters.haproxyruntime import Garbled, joined, read_look, read_states, server_name
from cafe.traffic.domain.facts import MemberState

STATES = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port "
    "srv_check_addr srv_agent_addr srv_agent_port\n"
    "3 web 1 pod-1 127.0.0.2 2 {admin} {weight} 1 1 1 0 0 0 0 0 0 - 8080 - 0 0 - - 0\n\n"
)
STATS = (
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,\n"
    "web,pod-1,1,0,2,0,,7,no check,1,\nweb,BACKEND,0,0,0,0,0,0,UP,1,\nidle,BACKEND,0,0,0,0,0,0,UP,1,\n\n"
)


@pytest.mark.parametrize(
    ("admin", "weight", "state"),
    [
        (0, 1, MemberState.SERVING),
        (8, 1, MemberState.DRAINING),
        (1, 1, MemberState.DRAINING),
        (0, 0, MemberState.DRAINING),
    ],
)
def test_a_server_is_seen_as_it_would_treat_a_new_request(
    admin: int, weight: int, state: MemberState
) -> None:
    look = read_look(STATES.format(admin=admin, weight=weight) + STATS)
    assert look.backends == {"web", "idle"}
    view = look.views["web"]["127.0.0.2:8080"]
    assert (view.state, view.active, view.queued, view.arrivals) == (state, 2, 1, 7)


@given(st.text())
def test_what_is_no_answer_is_never_taken_for_one(text: str) -> None:
    with pytest.raises(Garbled):
        read_look(text)
    with pytest.raises(Garbled):
        read_states(text)


@given(st.text(min_size=1, max_size=30))
def test_no_name_becomes_another_command(name: str) -> None:
    assert joined([f"del server web/{server_name(name)}"]).count(";") == 0
    if any(mark in name for mark in ";\n\r\\"):
        with pytest.raises(ValueError, match="more than one command"):
            joined([name])
