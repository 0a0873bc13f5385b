// SPDX-License-Identifier: MIT
// The engine behind standard handshakes: AXI4-Lite for control, AXI4-Stream for inputs and outputs.
//
// The registers are defined in axi_engine.rdl; axi_registers.vh and docs/hardware/registers.md are generated from it.
// A tensor is stored in runs of RUN consecutive addresses whose starts are STRIDE apart. A stream beat is one word,
// sign-extended to whole bytes. Output: all bytes are kept, and tlast marks the last word. Input: a beat without kept
// bytes is skipped; tlast anywhere but at the last word, or a beat with some bytes kept, sets
// INTERRUPT_PENDING.framing and has no other effect.
// Reset (synchronous, active low) resets everything but the contents of memories. A CONTROL write with `abort` also
// ends the current operation; registers keep their values, and a beat that is offered stays until it is accepted.
// `busy` is high from the clock after the command to that of the last word; the map says what is refused meanwhile.
// Latency: a beat in takes 1 clock, a beat out 4.
// Python twin: `Emulator.write`, `Emulator.run`, `Emulator.read` in fixedpoint_nn/hardware/emulator/emulator.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "axi_registers.vh"
`default_nettype none
module axi_engine #(
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
    parameter ACTIVATION_DEPTH = 4096,
    parameter WEIGHT_DEPTH = 4096,
    parameter PARAMETER_DEPTH = 512,
    parameter TABLE_DEPTH = 4096,
    parameter PROGRAM_DEPTH = 1024,
    // $readmemh files of the memories' initial contents, for a built-in network; empty: none.
    parameter ACTIVATION_IMAGE = "",
    parameter WEIGHT_IMAGE = "",
    parameter PARAMETER_IMAGE = "",
    parameter TABLE_IMAGE = "",
    parameter PROGRAM_IMAGE = "",
    // The reset values of SEED, INPUT_* and OUTPUT_*.
    parameter [31:0] SEED = 32'd1,
    parameter [23:0] INPUT_ADDRESS = 24'd0,
    parameter [23:0] INPUT_WORDS = 24'd0,
    parameter [23:0] INPUT_RUN = 24'd0,
    parameter [23:0] INPUT_STRIDE = 24'd0,
    parameter [23:0] OUTPUT_ADDRESS = 24'd0,
    parameter [23:0] OUTPUT_WORDS = 24'd0,
    parameter [23:0] OUTPUT_RUN = 24'd0,
    parameter [23:0] OUTPUT_STRIDE = 24'd0,
    // A command that is executed after a reset, as in CONTROL; 15 runs forever, from stream to stream.
    parameter [3:0] AUTOSTART = 4'd0,
    // 1: non-secure accesses (bit 1 of prot) are refused.
    parameter SECURE_ONLY = 0,
    // The values of the registers of these names: the number of the images, and the clock in kHz.
    parameter [31:0] CONTENT = 32'd0,
    parameter [31:0] CLOCK_KHZ = 32'd0,
    // Derived bits of a stream beat; not to be set.
    parameter STREAM_WIDTH = ACTIVATION_WIDTH > 8 ? (ACTIVATION_WIDTH + 7) / 8 * 8 : 8
) (
    input  wire                      clock,
    input  wire                      reset_n,

    // AXI4-Lite
    input  wire [7:0]                s_axil_awaddr,
    input  wire [2:0]                s_axil_awprot,
    input  wire                      s_axil_awvalid,
    output wire                      s_axil_awready,
    input  wire [31:0]               s_axil_wdata,
    input  wire [3:0]                s_axil_wstrb,
    input  wire                      s_axil_wvalid,
    output wire                      s_axil_wready,
    output wire [1:0]                s_axil_bresp,
    output wire                      s_axil_bvalid,
    input  wire                      s_axil_bready,
    input  wire [7:0]                s_axil_araddr,
    input  wire [2:0]                s_axil_arprot,
    input  wire                      s_axil_arvalid,
    output wire                      s_axil_arready,
    output wire [31:0]               s_axil_rdata,
    output wire [1:0]                s_axil_rresp,
    output wire                      s_axil_rvalid,
    input  wire                      s_axil_rready,

    // AXI4-Stream in
    input  wire [STREAM_WIDTH-1:0]   s_axis_tdata,
    input  wire [STREAM_WIDTH/8-1:0] s_axis_tkeep,
    input  wire                      s_axis_tlast,
    input  wire                      s_axis_tvalid,
    output wire                      s_axis_tready,

    // AXI4-Stream out
    output reg  [STREAM_WIDTH-1:0]   m_axis_tdata,
    output wire [STREAM_WIDTH/8-1:0] m_axis_tkeep,
    output reg                       m_axis_tlast,
    output reg                       m_axis_tvalid,
    input  wire                      m_axis_tready,

    // High while an event that is enabled is pending.
    output reg                       irq
);
    // Bits of a word, and of its sign extension in a beat; illegal values become small ones, which the engine refuses.
    localparam LEGAL = ACTIVATION_WIDTH >= 2 && ACTIVATION_WIDTH <= 32;
    localparam WORD = LEGAL ? ACTIVATION_WIDTH : 2;
    localparam SIGNS = LEGAL ? STREAM_WIDTH - WORD + 1 : 1;
    localparam PARAMETER_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH);
    localparam WIDER_WIDTH = PARAMETER_WIDTH > 32 ? PARAMETER_WIDTH : 32;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > WIDER_WIDTH ? LANES * WEIGHT_WIDTH : WIDER_WIDTH;
    localparam CHUNKS = (LOAD_WIDTH + 31) / 32;
    localparam [2:0] REST = 3'd0, RECEIVE = 3'd1, START = 3'd2, RUN = 3'd3, FETCH = 3'd4, SEND = 3'd5;

    initial begin
        if (AUTOSTART[0] && INPUT_WORDS == 24'd0 || AUTOSTART[2] && OUTPUT_WORDS == 24'd0)
            $fatal(1, "%m: AUTOSTART = %0d receives INPUT_WORDS = %0d and sends OUTPUT_WORDS = %0d; set them",
                   AUTOSTART, INPUT_WORDS, OUTPUT_WORDS);
    end

    reg [2:0]  state;
    reg        woken, ending;
    reg [3:0]  control;
    reg [31:0] seed;
    reg [23:0] input_address, input_words, input_run, input_stride;
    reg [23:0] output_address, output_words, output_run, output_stride;
    reg [23:0] word_address;
    reg [32*CHUNKS-1:0] load_word;
    reg        load_commit;
    reg [25:0] load_target;
    reg [3:0]  interrupt_enable, interrupt_pending;
    wire       at_rest = state == REST;

    wire busy, done, accumulator_overflow;
    wire [31:0] cycles, mac_cycles, saturations, argmax;
    wire signed [WORD-1:0] read_word;

    // ---- AXI4-Lite -------------------------------------------------------------------------------------------------

    wire write, read_pending, read;
    wire [7:0] write_address, read_address;
    wire [2:0] write_prot, read_prot;
    wire [31:0] write_data;
    wire [3:0] write_strobe;
    reg  write_refused, read_refused;
    reg  [31:0] read_data;

    // A word of the activation memory arrives two clocks after its address; nothing is written meanwhile.
    reg  [1:0] word_wait;
    wire word_there = {8'd0, word_address} < ACTIVATION_DEPTH;
    wire word_read = read_pending && read_address == `AXI_WORD_DATA && at_rest && word_there
        && !(SECURE_ONLY != 0 && read_prot[1]) && (word_wait != 2'd0 || !write);
    wire read_hold = read_address == `AXI_WORD_DATA && at_rest && word_wait != 2'd2 && !read_refused;

    axi_lite_port u_port (
        .clock(clock), .reset_n(reset_n),
        .awaddr(s_axil_awaddr), .awprot(s_axil_awprot), .awvalid(s_axil_awvalid), .awready(s_axil_awready),
        .wdata(s_axil_wdata), .wstrb(s_axil_wstrb), .wvalid(s_axil_wvalid), .wready(s_axil_wready),
        .bresp(s_axil_bresp), .bvalid(s_axil_bvalid), .bready(s_axil_bready),
        .araddr(s_axil_araddr), .arprot(s_axil_arprot), .arvalid(s_axil_arvalid), .arready(s_axil_arready),
        .rdata(s_axil_rdata), .rresp(s_axil_rresp), .rvalid(s_axil_rvalid), .rready(s_axil_rready),
        .write(write), .write_address(write_address), .write_prot(write_prot), .write_data(write_data),
        .write_strobe(write_strobe), .write_hold(word_wait != 2'd0), .write_refused(write_refused),
        .read_pending(read_pending), .read(read), .read_address(read_address), .read_prot(read_prot),
        .read_hold(read_hold), .read_refused(read_refused), .read_data(read_data)
    );

    // The effect of a write, and whether it has any.
    wire whole = &write_strobe;
    wire abort_wanted = write_data[`AXI_CONTROL_ABORT];
    wire startable = at_rest && write_data[2:0] != 3'd0
        && !(write_data[`AXI_CONTROL_RECEIVE] && input_words == 24'd0)
        && !(write_data[`AXI_CONTROL_SEND] && output_words == 24'd0);
    reg  load_there;
    always @* begin
        case (write_data[25:24])
            2'd0: load_there = {8'd0, write_data[23:0]} < PROGRAM_DEPTH;
            2'd1: load_there = {8'd0, write_data[23:0]} < WEIGHT_DEPTH;
            2'd2: load_there = {8'd0, write_data[23:0]} < PARAMETER_DEPTH;
            default: load_there = {8'd0, write_data[23:0]} < TABLE_DEPTH;
        endcase
        case (write_address)
            `AXI_CONTROL:
                write_refused = !write_strobe[0] || !(abort_wanted || write_data[7:0] == 8'd0 || startable);
            `AXI_SEED, `AXI_WORD_ADDRESS, `AXI_INPUT_ADDRESS, `AXI_INPUT_WORDS, `AXI_INPUT_RUN, `AXI_INPUT_STRIDE,
            `AXI_OUTPUT_ADDRESS, `AXI_OUTPUT_WORDS, `AXI_OUTPUT_RUN, `AXI_OUTPUT_STRIDE,
            `AXI_INTERRUPT_ENABLE, `AXI_INTERRUPT_PENDING: write_refused = write_strobe == 4'd0;
            `AXI_LOAD_DATA: write_refused = !whole;
            `AXI_LOAD_COMMIT: write_refused = !whole || !at_rest || !load_there;
            `AXI_WORD_DATA: write_refused = !whole || !at_rest || !word_there;
            default: write_refused = 1'b1;
        endcase
        if (SECURE_ONLY != 0 && write_prot[1]) write_refused = 1'b1;
    end
    wire accepted = write && !write_refused;
    wire control_write = accepted && write_address == `AXI_CONTROL;
    wire abort = control_write && abort_wanted;
    wire word_write = accepted && write_address == `AXI_WORD_DATA;
    wire [31:0] mask = {{8{write_strobe[3]}}, {8{write_strobe[2]}}, {8{write_strobe[1]}}, {8{write_strobe[0]}}};
    wire [31:0] written = write_data & mask;
    wire [32*CHUNKS+31:0] shifted_in = {write_data, load_word};

    always @(posedge clock) begin
        load_commit <= 1'b0;
        if (accepted)
            case (write_address)
                `AXI_SEED: seed <= seed & ~mask | written;
                `AXI_WORD_ADDRESS: word_address <= word_address & ~mask[23:0] | written[23:0];
                `AXI_INPUT_ADDRESS: input_address <= input_address & ~mask[23:0] | written[23:0];
                `AXI_INPUT_WORDS: input_words <= input_words & ~mask[23:0] | written[23:0];
                `AXI_INPUT_RUN: input_run <= input_run & ~mask[23:0] | written[23:0];
                `AXI_INPUT_STRIDE: input_stride <= input_stride & ~mask[23:0] | written[23:0];
                `AXI_OUTPUT_ADDRESS: output_address <= output_address & ~mask[23:0] | written[23:0];
                `AXI_OUTPUT_WORDS: output_words <= output_words & ~mask[23:0] | written[23:0];
                `AXI_OUTPUT_RUN: output_run <= output_run & ~mask[23:0] | written[23:0];
                `AXI_OUTPUT_STRIDE: output_stride <= output_stride & ~mask[23:0] | written[23:0];
                `AXI_LOAD_DATA: load_word <= shifted_in[32*CHUNKS+31:32];
                `AXI_LOAD_COMMIT: begin
                    load_commit <= 1'b1;
                    load_target <= write_data[25:0];
                end
                `AXI_WORD_DATA: word_address <= word_address + 24'd1;
                `AXI_INTERRUPT_ENABLE: interrupt_enable <= interrupt_enable & ~mask[3:0] | written[3:0];
                default: ;
            endcase
        word_wait <= read || !word_read ? 2'd0 : word_wait + 2'd1;
        if (word_read && read) word_address <= word_address + 24'd1;
        if (!reset_n) begin
            seed <= SEED;
            input_address <= INPUT_ADDRESS;
            input_words <= INPUT_WORDS;
            input_run <= INPUT_RUN;
            input_stride <= INPUT_STRIDE;
            output_address <= OUTPUT_ADDRESS;
            output_words <= OUTPUT_WORDS;
            output_run <= OUTPUT_RUN;
            output_stride <= OUTPUT_STRIDE;
            word_address <= 24'd0;
            word_wait <= 2'd0;
            interrupt_enable <= 4'd0;
            load_commit <= 1'b0;
        end
    end

    always @* begin
        read_refused = 1'b0;
        case (read_address)
            `AXI_CONTROL: read_data = {28'd0, control};
            `AXI_STATUS: read_data = {25'd0, state == FETCH || state == SEND, state == START || state == RUN,
                                      state == RECEIVE, 1'b0, accumulator_overflow, done, !at_rest};
            `AXI_SEED: read_data = seed;
            `AXI_CYCLES: read_data = cycles;
            `AXI_MAC_CYCLES: read_data = mac_cycles;
            `AXI_SATURATIONS: read_data = saturations;
            `AXI_ARGMAX: read_data = argmax;
            `AXI_WORD_ADDRESS: read_data = {8'd0, word_address};
            `AXI_INPUT_ADDRESS: read_data = {8'd0, input_address};
            `AXI_INPUT_WORDS: read_data = {8'd0, input_words};
            `AXI_INPUT_RUN: read_data = {8'd0, input_run};
            `AXI_INPUT_STRIDE: read_data = {8'd0, input_stride};
            `AXI_OUTPUT_ADDRESS: read_data = {8'd0, output_address};
            `AXI_OUTPUT_WORDS: read_data = {8'd0, output_words};
            `AXI_OUTPUT_RUN: read_data = {8'd0, output_run};
            `AXI_OUTPUT_STRIDE: read_data = {8'd0, output_stride};
            `AXI_WORD_DATA: begin
                read_data = {{(33-WORD){read_word[WORD-1]}}, read_word[WORD-2:0]};
                read_refused = !at_rest || !word_there;
            end
            `AXI_INTERRUPT_ENABLE: read_data = {28'd0, interrupt_enable};
            `AXI_INTERRUPT_PENDING: read_data = {28'd0, interrupt_pending};
            `AXI_IDENTIFICATION: read_data = `AXI_IDENTIFICATION_VALUE;
            `AXI_VERSION: read_data = `AXI_VERSION_VALUE;
            `AXI_CONTENT: read_data = CONTENT;
            `AXI_CLOCK_KHZ: read_data = CLOCK_KHZ;
            `AXI_LANES: read_data = LANES;
            `AXI_ACTIVATION_WIDTH: read_data = ACTIVATION_WIDTH;
            `AXI_WEIGHT_WIDTH: read_data = WEIGHT_WIDTH;
            `AXI_ACCUMULATOR_WIDTH: read_data = ACCUMULATOR_WIDTH;
            `AXI_BIAS_WIDTH: read_data = BIAS_WIDTH;
            `AXI_MODEL_WIDTH: read_data = MODEL_WIDTH;
            `AXI_MODEL_SATURATE: read_data = MODEL_SATURATE;
            `AXI_PRODUCT_BITS: read_data = PRODUCT_BITS;
            `AXI_PRODUCT_SHIFT: read_data = PRODUCT_SHIFT;
            `AXI_PRODUCT_SIGNED: read_data = PRODUCT_SIGNED;
            `AXI_PRODUCT_ROUNDING: read_data = PRODUCT_ROUNDING;
            `AXI_PRODUCT_OVERFLOW: read_data = PRODUCT_OVERFLOW;
            `AXI_ACTIVATION_DEPTH: read_data = ACTIVATION_DEPTH;
            `AXI_WEIGHT_DEPTH: read_data = WEIGHT_DEPTH;
            `AXI_PARAMETER_DEPTH: read_data = PARAMETER_DEPTH;
            `AXI_TABLE_DEPTH: read_data = TABLE_DEPTH;
            `AXI_PROGRAM_DEPTH: read_data = PROGRAM_DEPTH;
            `AXI_DRAIN: read_data = DRAIN;
            `AXI_MULTIPLIER_WIDTH: read_data = MULTIPLIER_WIDTH;
            `AXI_WORDS: read_data = WORDS;
            `AXI_PACK: read_data = PACK;
            default: begin
                read_data = 32'd0;
                read_refused = 1'b1;
            end
        endcase
        if (SECURE_ONLY != 0 && read_prot[1]) read_refused = 1'b1;
    end

    // ---- The engine ------------------------------------------------------------------------------------------------

    // The address of the tensor's next word: `left` words to come, `run_left` of the current run.
    reg [23:0] address, run_start, left, run_left, run_words, stride;
    reg [1:0]  fetching;
    wire       last = left == 24'd1;
    wire       receive_beat = state == RECEIVE && s_axis_tvalid && s_axis_tkeep != {STREAM_WIDTH/8{1'b0}};
    assign s_axis_tready = state == RECEIVE;
    assign m_axis_tkeep = {STREAM_WIDTH/8{1'b1}};

    // All weights are in the engine.
    wire [LANES*WEIGHT_WIDTH-1:0] no_weights = 0;
    engine #(
        .LANES(LANES), .DRAIN(DRAIN), .WORDS(WORDS), .PACK(PACK),
        .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH),
        .MODEL_WIDTH(MODEL_WIDTH), .MODEL_SATURATE(MODEL_SATURATE),
        .PRODUCT_BITS(PRODUCT_BITS), .PRODUCT_SHIFT(PRODUCT_SHIFT), .PRODUCT_SIGNED(PRODUCT_SIGNED),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH),
        .ACTIVATION_IMAGE(ACTIVATION_IMAGE), .WEIGHT_IMAGE(WEIGHT_IMAGE), .PARAMETER_IMAGE(PARAMETER_IMAGE),
        .TABLE_IMAGE(TABLE_IMAGE), .PROGRAM_IMAGE(PROGRAM_IMAGE)
    ) u_engine (
        .clock(clock), .reset(!reset_n || abort), .start(state == START), .seed(seed), .busy(busy), .done(done),
        .host_write(receive_beat || word_write), .host_address(at_rest ? word_address : address),
        .host_write_data(at_rest ? write_data[WORD-1:0] : s_axis_tdata[WORD-1:0]), .host_read_data(read_word),
        .load_enable(load_commit), .load_memory(load_target[25:24]), .load_address(load_target[23:0]),
        .load_data(load_word[LOAD_WIDTH-1:0]),
        .host_turn(), .weight_valid(1'b0), .weight_ready(), .weight_row(no_weights),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations),
        .accumulator_overflow(accumulator_overflow), .argmax(argmax), .stalls()
    );

    // The step after the current one.
    wire [3:0] request = !at_rest ? control : woken ? write_data[3:0] : AUTOSTART;
    reg  [2:0] next_state;
    always @* begin
        case (state)
            REST: next_state = request[0] ? RECEIVE : request[1] ? START : request[2] ? FETCH : REST;
            RECEIVE: next_state = request[1] ? START : request[2] ? FETCH : request[3] ? RECEIVE : REST;
            RUN: next_state = request[2] ? FETCH : !request[3] ? REST : request[0] ? RECEIVE : START;
            default: next_state = !request[3] ? REST : request[0] ? RECEIVE : request[1] ? START : FETCH;
        endcase
    end

    wire received = receive_beat && last;
    wire ran = state == RUN && done;
    wire sent = state == SEND && m_axis_tready && last;
    wire framing = receive_beat && (s_axis_tlast != last || !(&s_axis_tkeep));
    wire finished = at_rest && (control_write || !woken) || received || ran || sent;
    // A run of 0 words does not end: it is one run of all words.
    wire [23:0] run = next_state == RECEIVE ? input_run : output_run;

    always @(posedge clock) begin
        woken <= 1'b1;
        if (at_rest && finished) control <= next_state == REST ? 4'd0 : request;
        else if (finished && next_state == REST) control <= 4'd0;
        else if (control_write && write_data[3:0] == 4'd0) control[3] <= 1'b0;

        if (receive_beat || state == SEND && m_axis_tready) begin
            left <= left - 24'd1;
            if (run_left == 24'd1) begin
                run_left <= run_words;
                run_start <= run_start + stride;
                address <= run_start + stride;
            end else begin
                run_left <= run_left - 24'd1;
                address <= address + 24'd1;
            end
        end

        case (state)
            START: state <= RUN;
            FETCH: begin
                fetching <= fetching + 2'd1;
                if (fetching == 2'd2) begin
                    m_axis_tdata <= {{SIGNS{read_word[WORD-1]}}, read_word[WORD-2:0]};
                    m_axis_tlast <= last;
                    m_axis_tvalid <= 1'b1;
                    state <= SEND;
                end
            end
            SEND: if (m_axis_tready) begin
                m_axis_tvalid <= 1'b0;
                fetching <= 2'd0;
                state <= FETCH;
            end
            default: ;
        endcase

        if (finished) begin
            state <= next_state;
            fetching <= 2'd0;
            left <= next_state == RECEIVE ? input_words : output_words;
            run_left <= run;
            run_words <= run;
            stride <= next_state == RECEIVE ? input_stride : output_stride;
            address <= next_state == RECEIVE ? input_address : output_address;
            run_start <= next_state == RECEIVE ? input_address : output_address;
        end

        if (abort || ending) begin
            control <= 4'd0;
            if (state == SEND && !m_axis_tready) ending <= 1'b1;
            else begin
                ending <= 1'b0;
                state <= REST;
                m_axis_tvalid <= 1'b0;
            end
        end

        if (accepted && write_address == `AXI_INTERRUPT_PENDING)
            interrupt_pending <= interrupt_pending & ~written[3:0] | {framing, sent, ran, received};
        else interrupt_pending <= interrupt_pending | {framing, sent, ran, received};
        irq <= (interrupt_pending & interrupt_enable) != 4'd0;

        if (!reset_n) begin
            state <= REST;
            woken <= 1'b0;
            ending <= 1'b0;
            control <= 4'd0;
            m_axis_tvalid <= 1'b0;
            interrupt_pending <= 4'd0;
            irq <= 1'b0;
        end
    end

    // The engine is busy only in state RUN.
    wire unused_busy = busy;
endmodule
`default_nettype wire
