// SPDX-License-Identifier: MIT
// Stands in for the engine inside of axi_engine.v: tells axi_engine_ports_tb.v what it is asked, and answers what that
// says.
//
// A word of the activation memory is a function of its address, two clocks after it.
`default_nettype none
module engine #(
    // As in engine.v.
    parameter LANES = 8,
    parameter DRAIN = 1,
    parameter WORDS = 1,
    parameter PACK = 1,
    parameter ACTIVATION_WIDTH = 16,
    parameter WEIGHT_WIDTH = 16,
    parameter ACCUMULATOR_WIDTH = 48,
    parameter BIAS_WIDTH = 32,
    parameter MULTIPLIER_WIDTH = 0,
    parameter MODEL_WIDTH = 0,
    parameter MODEL_SATURATE = 0,
    parameter PRODUCT_BITS = 0,
    parameter PRODUCT_SHIFT = 0,
    parameter PRODUCT_SIGNED = 1,
    parameter PRODUCT_ROUNDING = 0,
    parameter PRODUCT_OVERFLOW = 0,
    parameter COUNTER_WIDTH = 32,
    parameter ACTIVATION_DEPTH = 4096,
    parameter WEIGHT_DEPTH = 4096,
    parameter PARAMETER_DEPTH = 512,
    parameter TABLE_DEPTH = 4096,
    parameter PROGRAM_DEPTH = 1024,
    parameter WEIGHT_WINDOW = 0,
    parameter ACTIVATION_IMAGE = "",
    parameter WEIGHT_IMAGE = "",
    parameter PARAMETER_IMAGE = "",
    parameter TABLE_IMAGE = "",
    parameter PROGRAM_IMAGE = "",
    parameter PARAMETER_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH),
    parameter WIDER_WIDTH = PARAMETER_WIDTH > 32 ? PARAMETER_WIDTH : 32,
    parameter LOAD_WIDTH = LANES * WEIGHT_WIDTH > WIDER_WIDTH ? LANES * WEIGHT_WIDTH : WIDER_WIDTH
) (
    input  wire                               clock,
    input  wire                               reset,
    input  wire                               start,
    input  wire [31:0]                        seed,
    output wire                               busy,
    output wire                               done,
    input  wire                               host_write,
    input  wire [23:0]                        host_address,
    input  wire signed [ACTIVATION_WIDTH-1:0] host_write_data,
    output reg  signed [ACTIVATION_WIDTH-1:0] host_read_data,
    output wire                               host_turn,
    input  wire                               load_enable,
    input  wire [1:0]                         load_memory,
    input  wire [23:0]                        load_address,
    input  wire [LOAD_WIDTH-1:0]              load_data,
    input  wire                               weight_valid,
    output wire                               weight_ready,
    input  wire [LANES*WEIGHT_WIDTH-1:0]      weight_row,
    output wire [31:0]                        cycles,
    output wire [31:0]                        mac_cycles,
    output wire [31:0]                        saturations,
    output wire                               accumulator_overflow,
    output wire [31:0]                        argmax,
    output wire [31:0]                        stalls
);
    reg [23:0] address;
    always @(posedge clock) begin
        address <= host_address;
        host_read_data <= axi_engine_ports_tb.content(address);
        if (reset) axi_engine_ports_tb.engine_is_reset;
        else begin
            if (start) axi_engine_ports_tb.engine_is_started(seed);
            if (host_write) axi_engine_ports_tb.engine_is_written(host_address, host_write_data);
            if (load_enable) axi_engine_ports_tb.engine_is_loaded(load_memory, load_address, load_data);
        end
    end
    assign busy = axi_engine_ports_tb.engine_busy;
    assign done = axi_engine_ports_tb.engine_done;
    assign {cycles, mac_cycles, saturations, argmax} = axi_engine_ports_tb.engine_counts;
    assign accumulator_overflow = axi_engine_ports_tb.engine_overflow;
    assign {host_turn, weight_ready, stalls} = 34'd0;

    wire unused_weights = &{weight_valid, weight_row};
endmodule
`default_nettype wire
