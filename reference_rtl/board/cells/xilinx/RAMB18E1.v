// SPDX-License-Identifier: MIT
// A model of the 18 Kib block memory of Xilinx 7.
// As yosys uses it: without output registers, error correction or chains.
//
//   one clock from an address to its word; in the mode "SDP" port A reads and port B writes up to 36 bits
//
// See cells/two_port_block.v. AMD: UG473, 7 Series FPGAs Memory Resources.
// Python twin: `Bytes` in tests/board/test_cells.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module RAMB18E1 #(
    parameter [255:0] INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0,
    parameter [255:0] INIT_06 = 0, INIT_07 = 0, INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0,
    parameter [255:0] INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0, INIT_10 = 0, INIT_11 = 0,
    parameter [255:0] INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
    parameter [255:0] INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0,
    parameter [255:0] INIT_1E = 0, INIT_1F = 0, INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0,
    parameter [255:0] INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0, INIT_28 = 0, INIT_29 = 0,
    parameter [255:0] INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
    parameter [255:0] INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0,
    parameter [255:0] INIT_36 = 0, INIT_37 = 0, INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0,
    parameter [255:0] INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0,
    parameter [255:0] INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0,
    parameter [255:0] INITP_06 = 0, INITP_07 = 0,
    parameter [17:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
    parameter integer DOA_REG = 0, DOB_REG = 0,
    parameter integer READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter RAM_MODE = "TDP", WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST", INIT_FILE = "NONE",
    parameter RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE", SIM_COLLISION_CHECK = "ALL", SIM_DEVICE = "7SERIES",
    parameter RSTREG_PRIORITY_A = "RSTREG", RSTREG_PRIORITY_B = "RSTREG",
    parameter IS_CLKARDCLK_INVERTED = 1'b0, IS_CLKBWRCLK_INVERTED = 1'b0, IS_ENARDEN_INVERTED = 1'b0,
    parameter IS_ENBWREN_INVERTED = 1'b0, IS_RSTRAMARSTRAM_INVERTED = 1'b0, IS_RSTRAMB_INVERTED = 1'b0,
    parameter IS_RSTREGARSTREG_INVERTED = 1'b0, IS_RSTREGB_INVERTED = 1'b0
) (
    input  wire        CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input  wire        RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input  wire [13:0] ADDRARDADDR, ADDRBWRADDR,
    input  wire [15:0] DIADI, DIBDI,
    input  wire [1:0]  DIPADIP, DIPBDIP,
    input  wire [1:0]  WEA,
    input  wire [3:0]  WEBWE,
    output wire [15:0] DOADO, DOBDO,
    output wire [1:0]  DOPADOP, DOPBDOP
);
    localparam SIMPLE = RAM_MODE == "SDP";
    localparam [1:0] MODE_A = WRITE_MODE_A == "NO_CHANGE" ? 2'd0 : WRITE_MODE_A == "WRITE_FIRST" ? 2'd1 : 2'd2;
    localparam [1:0] MODE_B = WRITE_MODE_B == "NO_CHANGE" ? 2'd0 : WRITE_MODE_B == "WRITE_FIRST" ? 2'd1 : 2'd2;
    localparam [16383:0] DATA = {
        INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38, INIT_37, INIT_36,
        INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C,
        INIT_2B, INIT_2A, INIT_29, INIT_28, INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22,
        INIT_21, INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
        INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10, INIT_0F, INIT_0E,
        INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07, INIT_06, INIT_05, INIT_04,
        INIT_03, INIT_02, INIT_01, INIT_00
    };
    localparam [2047:0] PARITY = {
        INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    };
    function [18431:0] contents(input integer unused);
        integer n;
        for (n = 0; n < 2048; n = n + 1) contents[9*n +: 9] = {PARITY[n], DATA[8*n +: 8]};
    endfunction
    initial if (DOA_REG != 0 || DOB_REG != 0) $fatal(1, "%m: output registers are not modelled");

    wire [17:0] in_a = {DIPADIP[1], DIADI[15:8], DIPADIP[0], DIADI[7:0]};
    wire [17:0] in_b = {DIPBDIP[1], DIBDI[15:8], DIPBDIP[0], DIBDI[7:0]};
    // A wide word of "SDP" begins in port A's data.
    wire [71:0] written_b = SIMPLE && WRITE_WIDTH_B == 36 ? {36'd0, in_b, in_a} : {54'd0, in_b};
    wire [71:0] read_a, read_b;
    wire [17:0] out_a = read_a[17:0];
    wire [17:0] out_b = SIMPLE ? read_a[35:18] : read_b[17:0];
    two_port_block #(
        .BYTE(9), .ADDRESS(14), .READ_A(READ_WIDTH_A), .WRITE_A(WRITE_WIDTH_A), .READ_B(READ_WIDTH_B),
        .WRITE_B(WRITE_WIDTH_B), .MODE_A(MODE_A), .MODE_B(MODE_B), .INIT(contents(0)),
        .FIRST_A({36'd0, INIT_B, INIT_A}), .FIRST_B({54'd0, INIT_B}),
        .CLEARED_A({36'd0, SRVAL_B, SRVAL_A}), .CLEARED_B({54'd0, SRVAL_B})
    ) u_block (
        .clock_a(CLKARDCLK ^ IS_CLKARDCLK_INVERTED), .enable_a(ENARDEN ^ IS_ENARDEN_INVERTED),
        .write_a(!SIMPLE && |WEA), .reset_a((RSTRAMARSTRAM ^ IS_RSTRAMARSTRAM_INVERTED) && ENARDEN),
        .address_a(ADDRARDADDR[13:0]), .bytes_a({6'd0, WEA}), .written_a({54'd0, in_a}),
        .read_a(read_a),
        .clock_b(CLKBWRCLK ^ IS_CLKBWRCLK_INVERTED), .enable_b(ENBWREN ^ IS_ENBWREN_INVERTED),
        .write_b(|WEBWE), .reset_b((RSTRAMB ^ IS_RSTRAMB_INVERTED) && ENBWREN), .address_b(ADDRBWRADDR[13:0]),
        .bytes_b({4'd0, WEBWE}), .written_b(written_b), .read_b(read_b)
    );
    assign {DOPADOP[1], DOADO[15:8], DOPADOP[0], DOADO[7:0]} = out_a;
    assign {DOPBDOP[1], DOBDO[15:8], DOPBDOP[0], DOBDO[7:0]} = out_b;
endmodule
`default_nettype wire
