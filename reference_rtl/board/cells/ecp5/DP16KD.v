// SPDX-License-Identifier: MIT
// A model of the ECP5's block memory: 18,432 bits, two ports, as yosys uses it; yosys has it as a black box only.
//
//   DO (one enabled clock after AD) = the word at AD;
//     with WE the word that stood there before (READBEFOREWRITE), or no change (NORMAL)
//
// Ports of 18, 9, 4, 2 or 1 bits; a port of 18 has a write enable for each 9 bits in AD1 and AD0. With 36 bits
// (pseudo dual port) A writes {DIB, DIA} with write enables in ADA3 to ADA0, and B reads {DOB, DOA}. No output
// registers, no resets, all selects 0.
// Lattice: ECP5 and ECP5-5G Memory User Guide. Python twin: `Blocks` in tests/board/test_cells.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module DP16KD #(
    // Bits of a word at each port; what a port reads while it writes.
    parameter DATA_WIDTH_A = 18,
    parameter DATA_WIDTH_B = 18,
    parameter WRITEMODE_A = "NORMAL",
    parameter WRITEMODE_B = "NORMAL",
    // Settings of which the model has one only; it stops at others.
    parameter REGMODE_A = "NOREG",
    parameter REGMODE_B = "NOREG",
    parameter CSDECODE_A = "0b000",
    parameter CSDECODE_B = "0b000",
    // Settings that change nothing here.
    parameter CLKAMUX = "CLKA",
    parameter CLKBMUX = "CLKB",
    parameter RESETMODE = "SYNC",
    parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter GSR = "ENABLED",
    parameter INIT_DATA = "STATIC",
    parameter WID = 0,
    // First contents: 16 words of 18 bits in each, 20 bits apart.
    parameter [319:0] INITVAL_00 = 320'd0, parameter [319:0] INITVAL_01 = 320'd0,
    parameter [319:0] INITVAL_02 = 320'd0, parameter [319:0] INITVAL_03 = 320'd0,
    parameter [319:0] INITVAL_04 = 320'd0, parameter [319:0] INITVAL_05 = 320'd0,
    parameter [319:0] INITVAL_06 = 320'd0, parameter [319:0] INITVAL_07 = 320'd0,
    parameter [319:0] INITVAL_08 = 320'd0, parameter [319:0] INITVAL_09 = 320'd0,
    parameter [319:0] INITVAL_0A = 320'd0, parameter [319:0] INITVAL_0B = 320'd0,
    parameter [319:0] INITVAL_0C = 320'd0, parameter [319:0] INITVAL_0D = 320'd0,
    parameter [319:0] INITVAL_0E = 320'd0, parameter [319:0] INITVAL_0F = 320'd0,
    parameter [319:0] INITVAL_10 = 320'd0, parameter [319:0] INITVAL_11 = 320'd0,
    parameter [319:0] INITVAL_12 = 320'd0, parameter [319:0] INITVAL_13 = 320'd0,
    parameter [319:0] INITVAL_14 = 320'd0, parameter [319:0] INITVAL_15 = 320'd0,
    parameter [319:0] INITVAL_16 = 320'd0, parameter [319:0] INITVAL_17 = 320'd0,
    parameter [319:0] INITVAL_18 = 320'd0, parameter [319:0] INITVAL_19 = 320'd0,
    parameter [319:0] INITVAL_1A = 320'd0, parameter [319:0] INITVAL_1B = 320'd0,
    parameter [319:0] INITVAL_1C = 320'd0, parameter [319:0] INITVAL_1D = 320'd0,
    parameter [319:0] INITVAL_1E = 320'd0, parameter [319:0] INITVAL_1F = 320'd0,
    parameter [319:0] INITVAL_20 = 320'd0, parameter [319:0] INITVAL_21 = 320'd0,
    parameter [319:0] INITVAL_22 = 320'd0, parameter [319:0] INITVAL_23 = 320'd0,
    parameter [319:0] INITVAL_24 = 320'd0, parameter [319:0] INITVAL_25 = 320'd0,
    parameter [319:0] INITVAL_26 = 320'd0, parameter [319:0] INITVAL_27 = 320'd0,
    parameter [319:0] INITVAL_28 = 320'd0, parameter [319:0] INITVAL_29 = 320'd0,
    parameter [319:0] INITVAL_2A = 320'd0, parameter [319:0] INITVAL_2B = 320'd0,
    parameter [319:0] INITVAL_2C = 320'd0, parameter [319:0] INITVAL_2D = 320'd0,
    parameter [319:0] INITVAL_2E = 320'd0, parameter [319:0] INITVAL_2F = 320'd0,
    parameter [319:0] INITVAL_30 = 320'd0, parameter [319:0] INITVAL_31 = 320'd0,
    parameter [319:0] INITVAL_32 = 320'd0, parameter [319:0] INITVAL_33 = 320'd0,
    parameter [319:0] INITVAL_34 = 320'd0, parameter [319:0] INITVAL_35 = 320'd0,
    parameter [319:0] INITVAL_36 = 320'd0, parameter [319:0] INITVAL_37 = 320'd0,
    parameter [319:0] INITVAL_38 = 320'd0, parameter [319:0] INITVAL_39 = 320'd0,
    parameter [319:0] INITVAL_3A = 320'd0, parameter [319:0] INITVAL_3B = 320'd0,
    parameter [319:0] INITVAL_3C = 320'd0, parameter [319:0] INITVAL_3D = 320'd0,
    parameter [319:0] INITVAL_3E = 320'd0, parameter [319:0] INITVAL_3F = 320'd0
) (
    input  wire DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0,
    input  wire ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input  wire CLKA, CEA, OCEA, WEA, RSTA, CSA2, CSA1, CSA0,
    output wire DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0,
    input  wire DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
        DIB2, DIB1, DIB0,
    input  wire ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input  wire CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
    output wire DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0
);
    reg [17:0] words [0:1023];
    integer place;
    reg [64*320-1:0] first;
    initial begin
        first = {
            INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
            INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
            INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
            INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
            INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
            INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
            INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
            INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
        };
        for (place = 0; place < 1024; place = place + 1) words[place] = first[20*place +: 18];
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000")
            $fatal(1, "%m: this model has no output registers and no decoded selects");
    end

    wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [17:0] written_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
        DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [17:0] written_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0};

    // The 9 bits (or, of narrow words, 8) that an address is in.
    function [8:0] part(input [13:0] address);
        part = address[3] ? words[address[13:4]][17:9] : words[address[13:4]][8:0];
    endfunction
    function [35:0] read(input integer width, input [13:0] address);
        case (width)
            36: read = {words[{address[13:5], 1'b1}], words[{address[13:5], 1'b0}]};
            18: read = {18'd0, words[address[13:4]]};
            9: read = {27'd0, part(address)};
            4: read = {32'd0, address[2] ? part(address) >> 4 : part(address)} & 36'hF;
            2: read = {27'd0, part(address) >> {address[2:1], 1'b0}} & 36'h3;
            default: read = {27'd0, part(address) >> address[2:0]} & 36'h1;
        endcase
    endfunction

    reg [35:0] read_a, read_b;
    initial {read_a, read_b} = 72'd0;
    always @(posedge CLKA) if (CEA) begin
        if (!WEA || WRITEMODE_A == "READBEFOREWRITE") read_a <= read(DATA_WIDTH_A, address_a);
        if (WEA) case (DATA_WIDTH_A)
            36: begin
                if (address_a[0]) words[{address_a[13:5], 1'b0}][8:0] <= written_a[8:0];
                if (address_a[1]) words[{address_a[13:5], 1'b0}][17:9] <= written_a[17:9];
                if (address_a[2]) words[{address_a[13:5], 1'b1}][8:0] <= written_b[8:0];
                if (address_a[3]) words[{address_a[13:5], 1'b1}][17:9] <= written_b[17:9];
            end
            18: begin
                if (address_a[0]) words[address_a[13:4]][8:0] <= written_a[8:0];
                if (address_a[1]) words[address_a[13:4]][17:9] <= written_a[17:9];
            end
            9: words[address_a[13:4]][(address_a[3] ? 9 : 0) +: 9] <= written_a[8:0];
            4: words[address_a[13:4]][(address_a[3] ? 9 : 0) + (address_a[2] ? 4 : 0) +: 4] <= written_a[3:0];
            2: words[address_a[13:4]][(address_a[3] ? 9 : 0) + 2 * address_a[2:1] +: 2] <= written_a[1:0];
            default: words[address_a[13:4]][(address_a[3] ? 9 : 0) + address_a[2:0]] <= written_a[0];
        endcase
    end
    always @(posedge CLKB) if (CEB) begin
        if (!WEB || WRITEMODE_B == "READBEFOREWRITE") read_b <= read(DATA_WIDTH_B, address_b);
        if (WEB) case (DATA_WIDTH_B)
            18: begin
                if (address_b[0]) words[address_b[13:4]][8:0] <= written_b[8:0];
                if (address_b[1]) words[address_b[13:4]][17:9] <= written_b[17:9];
            end
            9: words[address_b[13:4]][(address_b[3] ? 9 : 0) +: 9] <= written_b[8:0];
            4: words[address_b[13:4]][(address_b[3] ? 9 : 0) + (address_b[2] ? 4 : 0) +: 4] <= written_b[3:0];
            2: words[address_b[13:4]][(address_b[3] ? 9 : 0) + 2 * address_b[2:1] +: 2] <= written_b[1:0];
            default: words[address_b[13:4]][(address_b[3] ? 9 : 0) + address_b[2:0]] <= written_b[0];
        endcase
    end
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
        DOA1, DOA0} = DATA_WIDTH_B == 36 ? read_b[17:0] : read_a[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
        DOB1, DOB0} = DATA_WIDTH_B == 36 ? read_b[35:18] : read_b[17:0];
endmodule
`default_nettype wire
