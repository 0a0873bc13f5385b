// SPDX-License-Identifier: MIT
// axi_engine.v around engine_stand_in.v: what a host reads, what is refused, and all that the engine is asked, against
// the register map; for registers, tensors and addresses of all their bits.
//
// Ends with "PASS: N vectors", the number of answers that were compared, or "FAIL: ..." and status 1.
// Plusargs: +seed=N draws others.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "axi_registers.vh"
`default_nettype none
module axi_engine_ports_tb;
    // A stream beat has more bits than a word, a row two halves and some bits; no depth is a power of two.
    parameter LANES = 4;
    parameter ACTIVATION_WIDTH = 12;
    parameter WEIGHT_WIDTH = 11;
    parameter ACCUMULATOR_WIDTH = 40;
    parameter BIAS_WIDTH = 24;
    parameter MODEL_WIDTH = 23;
    parameter MODEL_SATURATE = 1;
    parameter PRODUCT_BITS = 19;
    parameter PRODUCT_SHIFT = 3;
    parameter PRODUCT_SIGNED = 0;
    parameter PRODUCT_ROUNDING = 5;
    parameter PRODUCT_OVERFLOW = 2;
    parameter ACTIVATION_DEPTH = 44444;
    parameter WEIGHT_DEPTH = 5461;
    parameter PARAMETER_DEPTH = 341;
    parameter TABLE_DEPTH = 2730;
    parameter PROGRAM_DEPTH = 1365;
    parameter [31:0] SEED = 32'hC0DE5EED;
    parameter [23:0] INPUT_ADDRESS = 24'h5A0F3C;
    parameter [23:0] INPUT_WORDS = 24'd5;
    parameter [23:0] INPUT_RUN = 24'd2;
    parameter [23:0] INPUT_STRIDE = 24'hC30A96;
    parameter [23:0] OUTPUT_ADDRESS = 24'hA5F0C3;
    parameter [23:0] OUTPUT_WORDS = 24'd7;
    parameter [23:0] OUTPUT_RUN = 24'd3;
    parameter [23:0] OUTPUT_STRIDE = 24'h3CF569;
    parameter [3:0] AUTOSTART = 4'd0;
    parameter SECURE_ONLY = 0;
    parameter [31:0] CONTENT = 32'h13579BDF;
    parameter [31:0] CLOCK_KHZ = 32'h2468ACE0;
    // Operations between two resets, and resets.
    parameter OPERATIONS = 40;
    parameter RESETS = 4;

    localparam STREAM_WIDTH = (ACTIVATION_WIDTH + 7) / 8 * 8;
    localparam KEEP = STREAM_WIDTH / 8;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > 32 ? LANES * WEIGHT_WIDTH : 32;
    localparam CHUNKS = (LOAD_WIDTH + 31) / 32;

    reg clock = 1'b0;
    reg reset_n = 1'b0;
    always #5 clock = ~clock;

    reg [7:0] awaddr = 0, araddr = 0;
    reg [2:0] awprot = 0, arprot = 0;
    reg [31:0] wdata = 0;
    reg [3:0] wstrb = 0;
    reg awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0;
    wire awready, wready, bvalid, arready, rvalid;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;
    reg [STREAM_WIDTH-1:0] in_data = 0;
    reg in_valid = 0, in_last = 0, out_ready = 0;
    reg [KEEP-1:0] in_keep = 0;
    wire in_ready, out_valid, out_last, irq;
    wire [KEEP-1:0] out_keep;
    wire [STREAM_WIDTH-1:0] out_data;

    axi_engine #(
        .LANES(LANES), .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MODEL_WIDTH(MODEL_WIDTH),
        .MODEL_SATURATE(MODEL_SATURATE), .PRODUCT_BITS(PRODUCT_BITS), .PRODUCT_SHIFT(PRODUCT_SHIFT),
        .PRODUCT_SIGNED(PRODUCT_SIGNED), .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH), .SEED(SEED), .INPUT_ADDRESS(INPUT_ADDRESS),
        .INPUT_WORDS(INPUT_WORDS), .INPUT_RUN(INPUT_RUN), .INPUT_STRIDE(INPUT_STRIDE),
        .OUTPUT_ADDRESS(OUTPUT_ADDRESS), .OUTPUT_WORDS(OUTPUT_WORDS), .OUTPUT_RUN(OUTPUT_RUN),
        .OUTPUT_STRIDE(OUTPUT_STRIDE), .AUTOSTART(AUTOSTART), .SECURE_ONLY(SECURE_ONLY), .CONTENT(CONTENT),
        .CLOCK_KHZ(CLOCK_KHZ)
    ) u_axi_engine (
        .clock(clock), .reset_n(reset_n),
        .s_axil_awaddr(awaddr), .s_axil_awprot(awprot), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
        .s_axil_wdata(wdata), .s_axil_wstrb(wstrb), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
        .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready),
        .s_axil_araddr(araddr), .s_axil_arprot(arprot), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
        .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready),
        .s_axis_tdata(in_data), .s_axis_tkeep(in_keep), .s_axis_tlast(in_last),
        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
        .m_axis_tdata(out_data), .m_axis_tkeep(out_keep), .m_axis_tlast(out_last),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready), .irq(irq)
    );

    integer draws, compared = 0;
    function [31:0] random(input dummy);
        random = $random(draws);
    endfunction
    function one_in(input integer n);
        one_in = $unsigned($random(draws)) % n == 0;
    endfunction
    task fail(input [8*40-1:0] what);
        $fatal(1, "FAIL: %0s at %0t", what, $time);
    endtask
    task same(input [63:0] found, input [63:0] wanted, input [8*40-1:0] what);
        begin
            if (found !== wanted) $fatal(1, "FAIL: %0s is %h, not %h, at %0t", what, found, wanted, $time);
            compared = compared + 1;
        end
    endtask

    // ---- The engine, as the stand-in tells of it --------------------------------------------------------------------

    reg engine_busy = 0, engine_done = 0, engine_overflow = 0;
    reg [127:0] engine_counts = 0;
    integer resets = 0, starts = 0, writes = 0, loads = 0;
    reg [31:0] started_with;
    reg [23:0] written_at, loaded_at;
    reg [ACTIVATION_WIDTH-1:0] written_word;
    reg [1:0] loaded_memory;
    reg [LOAD_WIDTH-1:0] loaded_row;
    function [ACTIVATION_WIDTH-1:0] content(input [23:0] address);
        reg [31:0] mixed;
        begin
            mixed = {8'd0, address} * 32'h9E3779B1;
            content = mixed[31 -: ACTIVATION_WIDTH];
        end
    endfunction
    task engine_is_reset;
        begin
            resets = resets + 1;
            engine_done <= 1'b0;
        end
    endtask
    task engine_is_started(input [31:0] seed);
        begin
            starts = starts + 1;
            started_with = seed;
            engine_done <= 1'b0;
        end
    endtask
    task engine_is_written(input [23:0] address, input [ACTIVATION_WIDTH-1:0] word);
        begin
            writes = writes + 1;
            written_at = address;
            written_word = word;
        end
    endtask
    task engine_is_loaded(input [1:0] memory, input [23:0] address, input [LOAD_WIDTH-1:0] row);
        begin
            loads = loads + 1;
            loaded_memory = memory;
            loaded_at = address;
            loaded_row = row;
        end
    endtask

    // ---- What the registers hold ------------------------------------------------------------------------------------

    // By number: SEED, WORD_ADDRESS, the eight of the tensors, INTERRUPT_ENABLE.
    reg [31:0] kept [0:10], bits_of [0:10];
    reg [7:0] place_of [0:10];
    localparam WORD_ADDRESS = 1, INPUT = 2, OUTPUT = 6, ENABLE = 10;
    reg [3:0] pending, control;
    reg [2:0] phase;  // receiving, running, sending
    reg [32*CHUNKS-1:0] row;
    wire resting = phase == 3'd0;
    integer number;
    initial for (number = 0; number < 11; number = number + 1) begin
        place_of[number] = number == 0 ? `AXI_SEED : number == WORD_ADDRESS ? `AXI_WORD_ADDRESS
            : number == ENABLE ? `AXI_INTERRUPT_ENABLE : `AXI_INPUT_ADDRESS + 4 * (number - INPUT);
        bits_of[number] = number == 0 ? 32'hFFFFFFFF : number == ENABLE ? 32'hF : 32'hFFFFFF;
    end

    // Whether there is something to read, and what.
    reg legal;
    reg [31:0] wanted;
    task look_up(input [7:0] where);
        integer place;
        begin
            legal = 1'b1;
            wanted = 32'd0;
            case (where & 8'hFC)
                `AXI_CONTROL: wanted = control;
                `AXI_STATUS: wanted = {phase, 1'b0, engine_overflow, engine_done, !resting};
                `AXI_CYCLES: wanted = engine_counts[127:96];
                `AXI_MAC_CYCLES: wanted = engine_counts[95:64];
                `AXI_SATURATIONS: wanted = engine_counts[63:32];
                `AXI_ARGMAX: wanted = engine_counts[31:0];
                `AXI_WORD_DATA: begin
                    legal = resting && kept[WORD_ADDRESS] < ACTIVATION_DEPTH;
                    wanted = $signed(content(kept[WORD_ADDRESS]));
                    wanted = {{32-ACTIVATION_WIDTH{wanted[ACTIVATION_WIDTH-1]}}, wanted[ACTIVATION_WIDTH-1:0]};
                end
                `AXI_INTERRUPT_PENDING: wanted = pending;
                `AXI_IDENTIFICATION: wanted = `AXI_IDENTIFICATION_VALUE;
                `AXI_VERSION: wanted = `AXI_VERSION_VALUE;
                `AXI_CONTENT: wanted = CONTENT;
                `AXI_CLOCK_KHZ: wanted = CLOCK_KHZ;
                `AXI_LANES: wanted = LANES;
                `AXI_DRAIN, `AXI_WORDS, `AXI_PACK: wanted = 1;
                `AXI_MULTIPLIER_WIDTH: wanted = 0;
                `AXI_ACTIVATION_WIDTH: wanted = ACTIVATION_WIDTH;
                `AXI_WEIGHT_WIDTH: wanted = WEIGHT_WIDTH;
                `AXI_ACCUMULATOR_WIDTH: wanted = ACCUMULATOR_WIDTH;
                `AXI_BIAS_WIDTH: wanted = BIAS_WIDTH;
                `AXI_MODEL_WIDTH: wanted = MODEL_WIDTH;
                `AXI_MODEL_SATURATE: wanted = MODEL_SATURATE;
                `AXI_PRODUCT_BITS: wanted = PRODUCT_BITS;
                `AXI_PRODUCT_SHIFT: wanted = PRODUCT_SHIFT;
                `AXI_PRODUCT_SIGNED: wanted = PRODUCT_SIGNED;
                `AXI_PRODUCT_ROUNDING: wanted = PRODUCT_ROUNDING;
                `AXI_PRODUCT_OVERFLOW: wanted = PRODUCT_OVERFLOW;
                `AXI_ACTIVATION_DEPTH: wanted = ACTIVATION_DEPTH;
                `AXI_WEIGHT_DEPTH: wanted = WEIGHT_DEPTH;
                `AXI_PARAMETER_DEPTH: wanted = PARAMETER_DEPTH;
                `AXI_TABLE_DEPTH: wanted = TABLE_DEPTH;
                `AXI_PROGRAM_DEPTH: wanted = PROGRAM_DEPTH;
                default: begin
                    legal = 1'b0;
                    for (place = 0; place < 11; place = place + 1)
                        if (place_of[place] == (where & 8'hFC)) begin
                            legal = 1'b1;
                            wanted = kept[place];
                        end
                end
            endcase
            if (SECURE_ONLY != 0 && arprot[1]) legal = 1'b0;
            if (!legal) wanted = 32'd0;
        end
    endtask

    // ---- AXI4-Lite --------------------------------------------------------------------------------------------------

    // Address and data come in any order; after the answer an access is over.
    integer write_at;
    reg address_left, data_left, address_taken, data_taken;
    task write(input [7:0] where, input [31:0] what, input [3:0] strobe, input accepted);
        begin
            {awaddr, wdata, wstrb} = {where, what, strobe};
            {address_left, data_left} = 2'b11;
            while (address_left || data_left) begin
                if (address_left && !one_in(3)) awvalid = 1'b1;
                if (data_left && !one_in(3)) wvalid = 1'b1;
                #1;
                address_taken = awvalid && awready;
                data_taken = wvalid && wready;
                @(negedge clock);
                if (address_taken) {awvalid, address_left, awaddr} = {2'b00, 8'hxx};
                if (data_taken) {wvalid, data_left, wdata, wstrb} = {2'b00, 36'hx};
            end
            while (bvalid !== 1'b1) @(negedge clock);
            write_at = $time - 5;
            while (one_in(3)) @(negedge clock);
            same(bresp, accepted ? 2'b00 : 2'b10, "the answer to a write");
            bready = 1'b1;
            @(negedge clock);
            bready = 1'b0;
        end
    endtask

    task read(input [7:0] where);
        begin
            look_up(where);
            araddr = where;
            arvalid = 1'b1;
            #1;
            while (!arready) @(negedge clock) #1;
            @(negedge clock);
            arvalid = 1'b0;
            araddr = 8'hxx;
            while (rvalid !== 1'b1) @(negedge clock);
            while (one_in(3)) @(negedge clock);
            same({rresp, rdata}, {legal ? 2'b00 : 2'b10, wanted}, "an answer to a read");
            if (legal && (where & 8'hFC) == `AXI_WORD_DATA) kept[WORD_ADDRESS] = kept[WORD_ADDRESS] + 1 & 32'hFFFFFF;
            rready = 1'b1;
            @(negedge clock);
            rready = 1'b0;
        end
    endtask

    // ---- Accesses ---------------------------------------------------------------------------------------------------

    // A number of few bits, or of all.
    function [31:0] number_of(input [31:0] bits);
        case ($unsigned($random(draws)) % 4)
            0: number_of = 32'd1 << ($unsigned($random(draws)) % 32) & bits;
            1: number_of = ~(32'd1 << ($unsigned($random(draws)) % 32)) & bits;
            default: number_of = $random(draws) & bits;
        endcase
    endfunction

    reg [31:0] mask, given;
    reg [3:0] strobe;
    reg secure, fits;
    integer before, chosen, size;
    task set(input integer which, input [31:0] value, input [3:0] bytes);
        begin
            mask = {{8{bytes[3]}}, {8{bytes[2]}}, {8{bytes[1]}}, {8{bytes[0]}}} & bits_of[which];
            fits = bytes != 4'd0 && secure;
            if (fits) kept[which] = kept[which] & ~mask | value & mask;
            write(place_of[which], value, bytes, fits);
        end
    endtask

    task access_protection;
        begin
            {awprot, arprot} = random(0);
            if (!one_in(4)) {awprot[1], arprot[1]} = 2'b00;
            secure = SECURE_ONLY == 0 || !awprot[1];
        end
    endtask

    // One register that keeps what is written; while something is under way a tensor keeps a few words.
    task write_one;
        begin
            chosen = $unsigned(random(0)) % 11;
            if (chosen == INPUT + 1 || chosen == OUTPUT + 1) begin
                if (resting || !secure) set(chosen, number_of(32'hFFFFFFFF), random(0));
                else set(chosen, 1 + $unsigned(random(0)) % 6, 4'hF);
            end else set(chosen, number_of(32'hFFFFFFFF), one_in(2) ? 4'hF : random(0));
            read(place_of[chosen]);
        end
    endtask

    // A row for a memory, and where it goes: both sides of the memory's end.
    task load_one;
        begin
            for (chosen = 0; chosen < CHUNKS; chosen = chosen + 1) begin
                given = random(0);
                strobe = one_in(8) ? random(0) : 4'hF;
                if (secure && &strobe) row = {given, row} >> 32;
                write(`AXI_LOAD_DATA, given, strobe, secure && &strobe);
            end
            given = random(0);
            case (given[25:24])
                2'd0: size = PROGRAM_DEPTH;
                2'd1: size = WEIGHT_DEPTH;
                2'd2: size = PARAMETER_DEPTH;
                default: size = TABLE_DEPTH;
            endcase
            case ($unsigned(random(0)) % 4)
                0: given[23:0] = size - 1;
                1: given[23:0] = size;
                2: given[23:0] = $unsigned(random(0)) % size;
                default: given[23:0] = 24'd1 << ($unsigned(random(0)) % 24);
            endcase
            strobe = one_in(8) ? random(0) : 4'hF;
            fits = secure && &strobe && resting && given[23:0] < size;
            before = loads;
            write(`AXI_LOAD_COMMIT, given, strobe, fits);
            @(negedge clock);
            same(loads, before + fits, "the number of rows that are loaded");
            if (fits) same({loaded_memory, loaded_at}, given[25:0], "the place of a row");
            if (fits) same(loaded_row[31:0], row[31:0], "the low half of a row");
            if (fits) same(loaded_row >> 32, row[LOAD_WIDTH-1:0] >> 32, "the high half of a row");
        end
    endtask

    task write_word;
        begin
            given = random(0);
            strobe = one_in(8) ? random(0) : 4'hF;
            fits = secure && &strobe && resting && kept[WORD_ADDRESS] < ACTIVATION_DEPTH;
            before = writes;
            write(`AXI_WORD_DATA, given, strobe, fits);
            same(writes, before + fits, "the number of words that are written");
            if (fits) begin
                same({written_at, written_word}, {kept[WORD_ADDRESS][23:0], given[ACTIVATION_WIDTH-1:0]}, "a word");
                kept[WORD_ADDRESS] = kept[WORD_ADDRESS] + 1 & 32'hFFFFFF;
            end
        end
    endtask

    task place_word;
        if (secure)
            case ($unsigned(random(0)) % 4)
                0: set(WORD_ADDRESS, ACTIVATION_DEPTH - 1, 4'hF);
                1: set(WORD_ADDRESS, 24'd1 << ($unsigned(random(0)) % 24), 4'hF);
                2: set(WORD_ADDRESS, (24'd1 << ($unsigned(random(0)) % 24)) - 1, 4'hF);
                default: set(WORD_ADDRESS, $unsigned(random(0)) % ACTIVATION_DEPTH, 4'hF);
            endcase
    endtask

    // What must change nothing while something is under way; and some of all registers.
    task access;
        begin
            access_protection;
            {engine_overflow, engine_busy, engine_counts} = {random(0), random(0), random(0), random(0), random(0)};
            case ($unsigned(random(0)) % 8)
                0: write_one;
                1: load_one;
                2: begin
                    place_word;
                    write_word;
                end
                3: begin
                    place_word;
                    read(`AXI_WORD_DATA);
                end
                4: if (!resting) write(`AXI_CONTROL, (random(0) & 7) + 1 & 7 | 8, 4'hF, 1'b0);
                5: begin
                    given = random(0);
                    chosen = $unsigned(random(0)) % 6;
                    case (chosen)  // read only, or nothing
                        0: write(`AXI_LANES, given, 4'hF, 1'b0);
                        1: write(`AXI_STATUS, given, 4'hF, 1'b0);
                        2: write(8'h5C, given, 4'hF, 1'b0);
                        3: write(8'hFC, given, 4'hF, 1'b0);
                        4: write(`AXI_CONTROL, given & 32'h10, 4'hE, 1'b0);
                        default: write(`AXI_CYCLES, given, 4'hF, 1'b0);
                    endcase
                end
                default: begin
                    given = random(0);
                    if ((given[7:2] << 2) != `AXI_INTERRUPT_PENDING) read(given[7:0]);
                end
            endcase
        end
    endtask

    // The interrupt, and what is pending; nothing happens meanwhile.
    task look_at_the_interrupt;
        begin
            arprot = 3'b000;
            @(negedge clock);
            same(irq, (pending & kept[ENABLE][3:0]) != 4'd0, "the interrupt");
            read(`AXI_INTERRUPT_PENDING);
            if (one_in(3)) begin
                given = random(0);
                strobe = one_in(3) ? random(0) : 4'hF;
                awprot = 3'b000;
                if (strobe[0]) pending = pending & ~given[3:0];
                write(`AXI_INTERRUPT_PENDING, given, strobe, strobe != 4'd0);
                @(negedge clock);
                same(irq, (pending & kept[ENABLE][3:0]) != 4'd0, "the interrupt");
            end
        end
    endtask

    // Reads and writes at the same time, as fast as they are taken: the answers come in order. Then a word is read
    // while another is written: neither is lost.
    integer asked, answered, addressed, brought, written;
    reg [7:0] questions [0:7];
    reg [31:0] values [0:7];
    task overlap;
        begin
            {awprot, arprot, secure} = 7'b0000001;
            for (asked = 0; asked < 8; asked = asked + 1) begin
                questions[asked] = `AXI_ACTIVATION_DEPTH + 4 * (asked % 5);
                values[asked] = random(0) & 32'hFFFFFF;
            end
            fork
                for (asked = 0; asked < 8; asked = asked + 1) begin
                    araddr = questions[asked];
                    arvalid = 1'b1;
                    #1;
                    while (!arready) @(negedge clock) #1;
                    @(negedge clock);
                    arvalid = 1'b0;
                    while (one_in(4)) @(negedge clock);
                end
                for (answered = 0; answered < 8; answered = answered + 1) begin
                    rready = !one_in(2);
                    #1;
                    while (!(rvalid && rready)) begin
                        @(negedge clock);
                        rready = !one_in(3);
                        #1;
                    end
                    look_up(questions[answered]);
                    same({rresp, rdata}, {2'b00, wanted}, "one of many answers");
                    @(negedge clock);
                    rready = 1'b0;
                end
                for (addressed = 0; addressed < 8; addressed = addressed + 1) begin
                    awaddr = place_of[addressed % 7 + 2];
                    awvalid = 1'b1;
                    #1;
                    while (!awready) @(negedge clock) #1;
                    @(negedge clock);
                    awvalid = 1'b0;
                    while (one_in(4)) @(negedge clock);
                end
                for (brought = 0; brought < 8; brought = brought + 1) begin
                    {wdata, wstrb} = {values[brought % 7], 4'hF};
                    wvalid = 1'b1;
                    #1;
                    while (!wready) @(negedge clock) #1;
                    @(negedge clock);
                    wvalid = 1'b0;
                    while (one_in(4)) @(negedge clock);
                end
                for (written = 0; written < 8; written = written + 1) begin
                    while (one_in(2)) @(negedge clock);
                    bready = 1'b1;
                    #1;
                    while (!bvalid) @(negedge clock) #1;
                    same(bresp, 2'b00, "one of many answers");
                    @(negedge clock);
                    bready = 1'b0;
                end
            join
            for (asked = 0; asked < 7; asked = asked + 1) kept[asked+2] = values[asked];
            for (asked = 2; asked < 9; asked = asked + 1) read(place_of[asked]);
        end
    endtask

    reg [31:0] first, value;
    task read_while_writing;
        begin
            {awprot, arprot, secure} = 7'b0000001;
            first = $unsigned(random(0)) % (ACTIVATION_DEPTH - 4);
            set(WORD_ADDRESS, first, 4'hF);
            value = random(0);
            before = writes;
            fork
                write(`AXI_WORD_DATA, value, 4'hF, 1'b1);
                begin
                    while (one_in(2)) @(negedge clock);
                    araddr = `AXI_WORD_DATA;
                    arvalid = 1'b1;
                    #1;
                    while (!arready) @(negedge clock) #1;
                    @(negedge clock);
                    arvalid = 1'b0;
                    while (one_in(2)) @(negedge clock);
                    rready = 1'b1;
                    #1;
                    while (!rvalid) @(negedge clock) #1;
                    given = rdata;
                    same(rresp, 2'b00, "the answer to a read");
                    @(negedge clock);
                    rready = 1'b0;
                end
            join
            same(writes, before + 1, "the number of words that are written");
            same(written_word, value[ACTIVATION_WIDTH-1:0], "a word that is written during a read");
            same(given[ACTIVATION_WIDTH-1:0], content(written_at == first ? first + 1 : first),
                 "a word that is read during a write");
            kept[WORD_ADDRESS] = first + 2;
            read(`AXI_WORD_ADDRESS);
        end
    endtask

    // ---- Tensors ----------------------------------------------------------------------------------------------------

    // The next word's address: runs of `run` words, whose starts are `stride` apart.
    reg [23:0] total, run, stride, start, address, within, done_words;
    task begin_tensor(input integer which);
        begin
            start = kept[which];
            total = kept[which+1];
            run = kept[which+2] == 32'd0 ? total : kept[which+2];
            stride = kept[which+3];
            address = start;
            {within, done_words} = 48'd0;
        end
    endtask
    task next_word;
        begin
            done_words = done_words + 24'd1;
            within = within + 24'd1;
            address = address + 24'd1;
            if (within == run) begin
                within = 24'd0;
                start = start + stride;
                address = start;
            end
        end
    endtask

    // A beat: without kept bytes it is skipped; with some, or with a wrong tlast, it is told.
    integer beat_at;
    task send_word(input proper);
        begin
            if (one_in(4)) begin
                {in_data, in_last, in_keep} = {random(0), random(0), {KEEP{1'b0}}};
                beat;
                same(writes, before, "the number of words that are received");
            end
            in_data = random(0);
            in_last = done_words + 24'd1 == total;
            in_keep = {KEEP{1'b1}};
            if (!proper && one_in(6)) in_last = !in_last;
            if (!proper && KEEP > 1 && one_in(6)) in_keep = 1;
            given = in_data;
            if (in_last != (done_words + 24'd1 == total) || in_keep != {KEEP{1'b1}}) pending[3] = 1'b1;
            beat;
            before = before + 1;
            same(writes, before, "the number of words that are received");
            same({written_at, written_word}, {address, given[ACTIVATION_WIDTH-1:0]}, "a word that is received");
            next_word;
        end
    endtask
    task beat;
        begin
            while (one_in(3)) @(negedge clock);
            in_valid = 1'b1;
            #1;
            while (!in_ready) @(negedge clock) #1;
            @(negedge clock);
            beat_at = $time - 5;
            in_valid = 1'b0;
            {in_data, in_last, in_keep} = {STREAM_WIDTH + KEEP + 1{1'bx}};
        end
    endtask

    reg signed [ACTIVATION_WIDTH-1:0] word;
    task take_word;
        begin
            offered_word;
            while (one_in(3)) @(negedge clock);
            out_ready = 1'b1;
            @(negedge clock);
            out_ready = 1'b0;
            next_word;
        end
    endtask
    task offered_word;
        begin
            while (out_valid !== 1'b1) @(negedge clock);
            word = content(address);
            same(out_data, {{STREAM_WIDTH-ACTIVATION_WIDTH+1{word[ACTIVATION_WIDTH-1]}}, word[ACTIVATION_WIDTH-2:0]},
                 "a word that is sent");
            same({out_keep, out_last}, {{KEEP{1'b1}}, done_words + 24'd1 == total}, "tkeep and tlast");
        end
    endtask

    // ---- Commands ---------------------------------------------------------------------------------------------------

    task abort;
        begin
            {awprot, arprot, secure} = 7'b0000001;
            before = resets;
            write(`AXI_CONTROL, random(0) & 32'hF | 32'h10, one_in(2) ? 4'hF : 4'h1, 1'b1);
            same(resets, before + 1, "the number of the engine's resets");
            control = 4'd0;
        end
    endtask

    // Some words of a tensor, then it is aborted, or all of it.
    task receive(input integer most, output aborted);
        begin
            phase = 3'b001;
            begin_tensor(INPUT);
            before = writes;
            aborted = most < total;
            repeat (aborted ? most : total - 1) send_word(1'b0);
            settle;
            if (aborted) abort;
            else begin
                before = writes;
                send_word(one_in(2));
                pending[0] = 1'b1;
            end
        end
    endtask

    task execute(input integer most, output aborted);
        begin
            phase = 3'b010;
            while (starts == begun) @(negedge clock);
            begun = begun + 1;
            same(started_with, kept[0], "the seed");
            while (!one_in(4)) @(negedge clock);
            settle;
            same(starts, begun, "the number of starts");
            aborted = most < 3;
            if (aborted) abort;
            else begin
                engine_done = 1'b1;
                @(negedge clock);
                pending[1] = 1'b1;
            end
        end
    endtask

    task deliver(input integer most, output aborted);
        begin
            phase = 3'b100;
            begin_tensor(OUTPUT);
            aborted = most < total;
            repeat (aborted ? most : total - 1) take_word;
            settle;
            if (aborted) begin
                if (one_in(2)) offered_word;  // it is offered until it is taken
                abort;
                if (out_valid) begin
                    offered_word;
                    settle;
                    if (done_words + 24'd1 == total) pending[2] = 1'b1;
                    out_ready = 1'b1;
                    @(negedge clock);
                    out_ready = 1'b0;
                end
            end else begin
                take_word;
                pending[2] = 1'b1;
            end
        end
    endtask

    // While nothing moves; a repetition is told to end in its last round.
    integer begun = 0, looks, rounds;
    task settle;
        begin
            for (looks = $unsigned(random(0)) % 3; looks > 0; looks = looks - 1) access;
            if (one_in(3)) look_at_the_interrupt;
            arprot = 3'b000;
            read(`AXI_STATUS);
            read(`AXI_CONTROL);
            if (rounds == 0 && control[3] || one_in(8) && !control[3]) begin
                awprot = 3'b000;
                control[3] = 1'b0;
                write(`AXI_CONTROL, random(0) & 32'hFFFFFF00, one_in(2) ? 4'hF : 4'h1, 1'b1);
            end
        end
    endtask

    // What a command does, round by round.
    reg aborted;
    task follow(input [3:0] command, input integer most);
        begin
            control = command;
            aborted = 1'b0;
            rounds = $unsigned(random(0)) % 3;
            while (phase != 3'd0 || control != 4'd0) begin
                if (command[0]) receive(most, aborted);
                if (command[1] && !aborted) execute(most, aborted);
                if (command[2] && !aborted) deliver(most, aborted);
                rounds = rounds - 1;
                if (aborted || !control[3]) {phase, control} = 7'd0;
            end
            rounds = -1;
        end
    endtask

    // Words of a tensor and of a run: few, or few and one high bit, so that a bit that is lost ends them too soon.
    function [23:0] few(input integer high);
        few = $unsigned($random(draws)) % 9 + (high ? 24'd1 << ($unsigned($random(draws)) % 24) : 24'd0);
    endfunction
    integer which;
    reg high;
    task command;
        begin
            {awprot, arprot, secure} = 7'b0000001;
            high = one_in(3);
            for (which = INPUT; which <= OUTPUT; which = which + OUTPUT - INPUT) begin
                set(which, random(0), 4'hF);
                set(which + 1, one_in(20) ? 24'd300 : few(high), 4'hF);
                set(which + 2, few(one_in(4)), 4'hF);
                set(which + 3, random(0), 4'hF);
            end
            access_protection;
            given = random(0) & 32'hFFFFFF0F;
            strobe = one_in(8) ? random(0) : one_in(2) ? 4'h1 : 4'hF;
            fits = secure && strobe[0] && (given[7:0] == 8'd0 || given[2:0] != 3'd0
                && !(given[0] && kept[INPUT+1] == 32'd0) && !(given[2] && kept[OUTPUT+1] == 32'd0));
            write(`AXI_CONTROL, given, strobe, fits);
            if (fits && given[3:0] != 4'd0) follow(given[3:0], high || one_in(4) ? $unsigned(random(0)) % 12 : 1 << 25);
        end
    endtask

    // What happens in the clock in which it is cleared stays pending.
    task clear_while_it_happens;
        begin
            {awprot, arprot, secure} = 7'b0000001;
            set(INPUT + 1, 1, 4'hF);
            write(`AXI_CONTROL, 1, 4'hF, 1'b1);
            {phase, control} = {3'b001, 4'b0001};
            fork
                write(`AXI_INTERRUPT_PENDING, 32'hF, 4'hF, 1'b1);
                begin
                    {in_data, in_last, in_keep} = {random(0), 1'b1, {KEEP{1'b1}}};
                    beat;
                end
            join
            {phase, control} = 7'd0;
            pending = beat_at >= write_at ? 4'b0001 : 4'b0000;
            look_at_the_interrupt;
        end
    endtask

    // In a reset nothing is offered, and after it all is as it was built.
    task reset(input integer clocks);
        begin
            reset_n = 1'b0;
            {awvalid, wvalid, bready, arvalid, rready, in_valid, out_ready} = 7'b0010111;
            in_keep = {KEEP{1'b1}};
            @(negedge clock);
            before = writes;
            repeat (clocks) begin
                @(negedge clock);
                same({awready, wready, bvalid, arready, rvalid, in_ready, out_valid, irq}, 8'd0, "an offer in a reset");
            end
            {bready, rready, in_valid, out_ready} = 4'd0;
            engine_done = 1'b0;
            begun = starts;
            kept[0] = SEED;
            kept[WORD_ADDRESS] = 32'd0;
            {kept[2], kept[3], kept[4], kept[5]} = {8'd0, INPUT_ADDRESS, 8'd0, INPUT_WORDS, 8'd0, INPUT_RUN,
                                                    8'd0, INPUT_STRIDE};
            {kept[6], kept[7], kept[8], kept[9]} = {8'd0, OUTPUT_ADDRESS, 8'd0, OUTPUT_WORDS, 8'd0, OUTPUT_RUN,
                                                    8'd0, OUTPUT_STRIDE};
            kept[ENABLE] = 32'd0;
            {pending, control, phase} = 11'd0;
            reset_n = 1'b1;
        end
    endtask

    // What is read at every address; that what cannot be written is refused; and that bytes are written alone.
    task every_address;
        begin
            {awprot, arprot, secure} = 7'b0000001;
            for (which = 0; which < 256; which = which + 4) begin
                read(which + one_in(2));
                legal = which == `AXI_CONTROL || which == `AXI_LOAD_DATA || which == `AXI_LOAD_COMMIT
                    || which == `AXI_WORD_DATA || which == `AXI_INTERRUPT_PENDING;
                for (number = 0; number < 11; number = number + 1) legal = legal || which == place_of[number];
                if (!legal) write(which, random(0), 4'hF, 1'b0);
            end
            for (chosen = 0; chosen < 11; chosen = chosen + 1)
                for (which = 0; which < 16; which = which + 1) begin
                    set(chosen, random(0), 4'hF);
                    set(chosen, random(0), which);
                    read(place_of[chosen]);
                end
        end
    endtask

    integer turn, operation;
    initial begin
        if (!$value$plusargs("seed=%d", draws)) draws = 1;
        rounds = -1;
        for (turn = 0; turn < RESETS; turn = turn + 1) begin
            repeat (turn) @(negedge clock);
            reset(1 + turn % 3);
            if (AUTOSTART != 4'd0) follow(AUTOSTART, turn % 2 == 0 ? 1 << 25 : 3);
            if (turn == 0) every_address;
            for (operation = 0; operation < OPERATIONS; operation = operation + 1) begin
                repeat (4) access;
                case (operation % 8)
                    0: overlap;
                    1: read_while_writing;
                    2: clear_while_it_happens;
                    3: look_at_the_interrupt;
                    default: command;
                endcase
            end
            // A reset in the middle of something.
            {awprot, arprot, secure} = 7'b0000001;
            case (turn % 4)
                0: write(`AXI_CONTROL, 2, 4'hF, 1'b1);
                1: begin
                    set(INPUT + 1, 5, 4'hF);
                    write(`AXI_CONTROL, 1, 4'hF, 1'b1);
                end
                2: begin
                    set(OUTPUT + 1, 5, 4'hF);
                    write(`AXI_CONTROL, 4, 4'hF, 1'b1);
                    repeat (6) @(negedge clock);
                end
                default: begin
                    {awaddr, awvalid, araddr, arvalid} = {`AXI_SEED, 1'b1, `AXI_SEED, 1'b1};
                    repeat (3) @(negedge clock);
                end
            endcase
        end
        $display("PASS: %0d vectors", compared);
        $finish;
    end

    // ---- Always -----------------------------------------------------------------------------------------------------

    // What is offered stays as it is until it is taken.
    reg b_waits = 0, r_waits = 0, out_waits = 0;
    reg [1:0] b_held;
    reg [33:0] r_held;
    reg [STREAM_WIDTH+KEEP:0] out_held;
    always @(posedge clock) begin
        if (b_waits && {bvalid, bresp} !== {1'b1, b_held}) fail("the answer to a write is withdrawn");
        if (r_waits && {rvalid, rdata, rresp} !== {1'b1, r_held}) fail("an answer to a read is withdrawn");
        if (out_waits && {out_valid, out_data, out_keep, out_last} !== {1'b1, out_held}) fail("a beat is withdrawn");
        b_waits <= reset_n && bvalid && !bready;
        r_waits <= reset_n && rvalid && !rready;
        out_waits <= reset_n && out_valid && !out_ready;
        b_held <= bresp;
        r_held <= {rdata, rresp};
        out_held <= {out_data, out_keep, out_last};
    end

    integer still = 0;
    always @(posedge clock) begin
        still <= (bvalid && bready || in_valid && in_ready || out_valid && out_ready) === 1'b1 ? 0 : still + 1;
        if (still == 1000) fail("nothing moves");
    end
endmodule
`default_nettype wire
