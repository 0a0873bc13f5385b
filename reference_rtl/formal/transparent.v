// SPDX-License-Identifier: MIT
// For yosys' techmap: a register becomes a wire, and a pipeline without feedback its combinational form.
(* techmap_celltype = "$dff" *)
module transparent_dff (CLK, D, Q);
    parameter WIDTH = 1;
    parameter CLK_POLARITY = 1;
    input CLK;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    assign Q = D;
endmodule

(* techmap_celltype = "$dffe" *)
module transparent_dffe (CLK, EN, D, Q);
    parameter WIDTH = 1;
    parameter CLK_POLARITY = 1;
    parameter EN_POLARITY = 1;
    input CLK, EN;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    assign Q = D;
endmodule
