# SPDX-License-Identifier: MIT
"""What is proven about the AXI wrapper, and the mistakes that the proof must notice."""

from __future__ import annotations

from tests.proof.solver import Netlist

SOURCES = ("axi_engine.v", "axi_lite_port.v", "formal/free_engine.v", "formal/axi_proof.v")
RULES = {
    "write_response_changes": "a write's response stays, unchanged, until it is taken",
    "read_response_changes": "what was read stays, unchanged, until it is taken",
    "stream_changes": "a beat stays, unchanged, until it is taken",
    "response_to_no_write": "no response without a write",
    "response_to_no_read": "no response without a read",
    "write_unanswered": "every write that is taken is answered",
    "read_unanswered": "every read that is taken is answered",
    "offered_in_reset": "nothing is offered in a reset",
    "beat_from_nothing": "no beat is taken before a command",
}
NETLIST = Netlist("axi_proof", SOURCES)
FORM = "any masters, all time"

# (what is wrong, the rule that it breaks, the source, what stands there, and the mistake)
MISTAKES = (
    ("a response lasts one clock", "write_response_changes", "axi_lite_port.v",
     "if (bready) bvalid <= 1'b0;", "bvalid <= 1'b0;"),
    ("a read overtakes the one before", "read_response_changes", "axi_lite_port.v",
     "read_held && (!rvalid || rready);", "read_held;"),
    ("an abort takes a beat back", "stream_changes", "axi_engine.v",
     "if (state == SEND && !m_axis_tready) ending <= 1'b1;", "if (1'b0) ending <= 1'b1;"),
    ("an address alone is a write", "response_to_no_write", "axi_lite_port.v",
     "assign write = address_held && data_held &&", "assign write = address_held &&"),
    ("a reset keeps a request", "response_to_no_read", "axi_lite_port.v",
     "            read_held <= 1'b0;\n            bvalid", "            bvalid"),
    ("a write is forgotten while a word is read", "write_unanswered", "axi_lite_port.v",
     "            address_held <= 1'b0;\n            data_held <= 1'b0;\n            bvalid <= 1'b1;",
     "            address_held <= 1'b0;\n            data_held <= 1'b0;\n            bvalid <= !read_held;"),
    ("a word of the memory is waited for in vain", "read_unanswered", "axi_engine.v",
     "(word_wait != 2'd0 || !write);", "(word_wait == 2'd0 && !write);"),
    ("a beat is still offered in a reset", "offered_in_reset", "axi_engine.v",
     "            m_axis_tvalid <= 1'b0;\n            interrupt_pending", "            interrupt_pending"),
    ("it begins by itself", "beat_from_nothing", "axi_engine.v",
     "wire finished = at_rest && (control_write || !woken)", "wire finished = at_rest"),
)  # fmt: skip
