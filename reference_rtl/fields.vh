// SPDX-License-Identifier: MIT
// Where the fields of a Run stand in its description: bit = 32 * word + low. Written by
// fixedpoint_nn/hardware/isa/verilog_header.py from fixedpoint_nn/hardware/isa/instructions.py.
`ifndef FIELDS_VH
`define FIELDS_VH
`define RUN_WORDS 20
`define RUN_BITS 640

`define OP_HALT 3'd0
`define OP_RUN 3'd1
`define OP_SET 3'd2
`define OP_INCREMENT 3'd3
`define OP_LOOP 3'd4
`define OP_JUMP_EQUAL 3'd5
`define OP_LOAD 3'd6
`define OP_STORE 3'd7

`define RUN_BARRIER 0
`define RUN_VECTOR 1
`define RUN_PAIRED 2
`define RUN_MAXIMUM 3
`define RUN_BOUNDED 4
`define RUN_PER_TILE 5
`define RUN_MODELLED 6
`define RUN_RELU_BEFORE 7
`define RUN_RELU_AFTER 8
`define RUN_TABLE 9
`define RUN_NOISE 10
`define RUN_ARGMAX 11
`define RUN_WRITE 12
`define RUN_ROUNDING 13
`define RUN_OVERFLOW 16
`define RUN_OUT_BITS 18
`define RUN_OUT_SIGNED 24
`define RUN_JOINED 25
`define RUN_SPREAD 26
`define RUN_SKIP 27
`define RUN_SHORT 31
`define RUN_ACTIVATION_BASE 32
`define RUN_WEIGHT_BASE 64
`define RUN_STREAMED 91
`define RUN_PARAMETER_BASE 96
`define RUN_OUTPUT_BASE 128
`define RUN_TABLE_BASE 160
`define RUN_LEAK 184
`define RUN_TWICE 190
`define RUN_CHANNEL_COUNT 192
`define RUN_KX_COUNT 208
`define RUN_KY_COUNT 216
`define RUN_TILE_COUNT 224
`define RUN_LAST_CHANNELS 240
`define RUN_EARLY 248
`define RUN_X_COUNT 256
`define RUN_Y_COUNT 268
`define RUN_CHANNEL_JUMP 288
`define RUN_GROUPS 312
`define RUN_UNUSED 315
`define RUN_KX_JUMP 320
`define RUN_KY_JUMP 352
`define RUN_TILE_JUMP 384
`define RUN_X_JUMP 416
`define RUN_Y_JUMP 448
`define RUN_OUTPUT_GAP 480
`define RUN_X_ORIGIN 512
`define RUN_Y_ORIGIN 525
`define RUN_X_STEP 544
`define RUN_Y_STEP 552
`define RUN_X_LIMIT 576
`define RUN_Y_LIMIT 608
`endif
