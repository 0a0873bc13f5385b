// SPDX-License-Identifier: MIT
// The engine, abstracted for the proof of its wrapper: its outputs are unconstrained in every clock.
`default_nettype none
module engine #(
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
    parameter ACTIVATION_DEPTH = 4096,
    parameter WEIGHT_DEPTH = 4096,
    parameter PARAMETER_DEPTH = 512,
    parameter TABLE_DEPTH = 4096,
    parameter PROGRAM_DEPTH = 1024,
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
    output wire signed [ACTIVATION_WIDTH-1:0] host_read_data,
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
    wire anything_busy, anything_done, anything_overflow, anything_ready;
    wire [ACTIVATION_WIDTH-1:0] anything_word;
    wire [159:0] anything_counted;
    assign busy = anything_busy;
    assign done = anything_done;
    assign weight_ready = anything_ready;
    assign accumulator_overflow = anything_overflow;
    assign host_read_data = anything_word;
    assign {cycles, mac_cycles, saturations, argmax, stalls} = anything_counted;
endmodule
`default_nettype wire
