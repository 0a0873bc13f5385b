// SPDX-License-Identifier: MIT
// The engine behind standard handshakes: AXI4-Lite for control, AXI4-Stream for what goes in and comes out.
//
// Registers (32 bits, byte addresses):
//   0x00 CONTROL  write: what to do, in this order: bit 0 receive the input, bit 1 run, bit 2 send the output;
//                 bit 3 repeat. Ignored while one of them is under way, except that writing 0 ends the repetition.
//   0x04 STATUS   bit 0 at work, bit 1 the last run is done, bit 2 accumulator_overflow
//   0x08 SEED     0x0C CYCLES   0x10 MAC_CYCLES   0x14 SATURATIONS   0x18 ARGMAX
//   0x20 INPUT_ADDRESS    0x24 INPUT_WORDS    0x28 INPUT_RUN    0x2C INPUT_STRIDE
//   0x30 OUTPUT_ADDRESS   0x34 OUTPUT_WORDS   0x38 OUTPUT_RUN   0x3C OUTPUT_STRIDE
//   0x40 LOAD_DATA    write: 32 bits of a memory word, lowest first, always CHUNKS of them
//   0x44 LOAD_COMMIT  write: {memory[25:24], address[23:0]}; memory: 0 program, 1 weights, 2 parameters, 3 tables
// Words of a tensor go to runs of RUN consecutive addresses whose starts are STRIDE apart. The activation memory's
// image is received like an input. A stream beat is one word, sign-extended to whole bytes; tlast marks the output's
// last word and is not looked at on the input.
// Latency: a beat in takes 1 clock, a beat out 4.
// Python twin: `Emulator.write`, `Emulator.run`, `Emulator.read` in fixedpoint_nn/hardware/emulator/emulator.py.
`default_nettype none
module axi_engine #(
    // As in engine.v.
    parameter LANES = 8,
    parameter DRAIN = 1,
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
    // Bits of a stream beat; follows, not to be set.
    parameter STREAM_WIDTH = ACTIVATION_WIDTH > 8 ? (ACTIVATION_WIDTH + 7) / 8 * 8 : 8
) (
    input  wire                    clock,
    input  wire                    reset_n,

    // AXI4-Lite
    input  wire [7:0]              s_axil_awaddr,
    input  wire                    s_axil_awvalid,
    output wire                    s_axil_awready,
    input  wire [31:0]             s_axil_wdata,
    input  wire                    s_axil_wvalid,
    output wire                    s_axil_wready,
    output wire [1:0]              s_axil_bresp,
    output reg                     s_axil_bvalid,
    input  wire                    s_axil_bready,
    input  wire [7:0]              s_axil_araddr,
    input  wire                    s_axil_arvalid,
    output wire                    s_axil_arready,
    output reg  [31:0]             s_axil_rdata,
    output wire [1:0]              s_axil_rresp,
    output reg                     s_axil_rvalid,
    input  wire                    s_axil_rready,

    // AXI4-Stream in
    input  wire [STREAM_WIDTH-1:0] s_axis_tdata,
    input  wire                    s_axis_tvalid,
    output wire                    s_axis_tready,

    // AXI4-Stream out
    output reg  [STREAM_WIDTH-1:0] m_axis_tdata,
    output reg                     m_axis_tvalid,
    output reg                     m_axis_tlast,
    input  wire                    m_axis_tready
);
    // Bits of a word, and of its sign in a beat; where they are illegal something small, so that the engine refuses it.
    localparam LEGAL = ACTIVATION_WIDTH >= 2 && ACTIVATION_WIDTH <= 32;
    localparam WORD = LEGAL ? ACTIVATION_WIDTH : 2;
    localparam SIGNS = LEGAL ? STREAM_WIDTH - WORD + 1 : 1;
    localparam PARAMETER_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH);
    localparam WIDER_WIDTH = PARAMETER_WIDTH > 32 ? PARAMETER_WIDTH : 32;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > WIDER_WIDTH ? LANES * WEIGHT_WIDTH : WIDER_WIDTH;
    localparam CHUNKS = (LOAD_WIDTH + 31) / 32;
    localparam [2:0] REST = 3'd0, RECEIVE = 3'd1, START = 3'd2, RUN = 3'd3, FETCH = 3'd4, SEND = 3'd5;

    reg [2:0]  state;
    reg [3:0]  control;
    reg [31:0] seed;
    reg [23:0] input_address, input_words, input_run, input_stride;
    reg [23:0] output_address, output_words, output_run, output_stride;
    reg [32*CHUNKS-1:0] load_word;
    reg        load_commit;
    reg [25:0] load_target;

    wire busy, done, accumulator_overflow;
    wire [31:0] cycles, mac_cycles, saturations, argmax;
    wire signed [WORD-1:0] read_word;

    // Where the next word of the tensor stands: `left` words to come, `run_left` of the present run.
    reg [23:0] address, run_start, left, run_left, run_words, stride;
    reg [1:0]  fetching;
    wire       last = left == 24'd1;
    wire       receive_beat = state == RECEIVE && s_axis_tvalid;
    assign s_axis_tready = state == RECEIVE;

    engine #(
        .LANES(LANES), .DRAIN(DRAIN), .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH),
        .MODEL_WIDTH(MODEL_WIDTH), .MODEL_SATURATE(MODEL_SATURATE),
        .PRODUCT_BITS(PRODUCT_BITS), .PRODUCT_SHIFT(PRODUCT_SHIFT), .PRODUCT_SIGNED(PRODUCT_SIGNED),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH)
    ) u_engine (
        .clock(clock), .reset(!reset_n), .start(state == START), .seed(seed), .busy(busy), .done(done),
        .host_write(receive_beat), .host_address(address),
        .host_write_data(s_axis_tdata[WORD-1:0]), .host_read_data(read_word),
        .load_enable(load_commit), .load_memory(load_target[25:24]), .load_address(load_target[23:0]),
        .load_data(load_word[LOAD_WIDTH-1:0]),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations),
        .accumulator_overflow(accumulator_overflow), .argmax(argmax)
    );

    // AXI4-Lite: a write is taken when address and data are both there and the last response is gone.
    wire write = s_axil_awvalid && s_axil_wvalid && (!s_axil_bvalid || s_axil_bready);
    wire read = s_axil_arvalid && (!s_axil_rvalid || s_axil_rready);
    wire command = write && s_axil_awaddr == 8'h00;
    assign s_axil_awready = write;
    assign s_axil_wready = write;
    assign s_axil_arready = read;
    assign s_axil_bresp = 2'b00;
    assign s_axil_rresp = 2'b00;

    wire [32*CHUNKS+31:0] shifted_in = {s_axil_wdata, load_word};

    always @(posedge clock) begin
        load_commit <= 1'b0;
        if (s_axil_bready) s_axil_bvalid <= 1'b0;
        if (s_axil_rready) s_axil_rvalid <= 1'b0;
        if (write) begin
            s_axil_bvalid <= 1'b1;
            case (s_axil_awaddr)
                8'h08: seed <= s_axil_wdata;
                8'h20: input_address <= s_axil_wdata[23:0];
                8'h24: input_words <= s_axil_wdata[23:0];
                8'h28: input_run <= s_axil_wdata[23:0];
                8'h2C: input_stride <= s_axil_wdata[23:0];
                8'h30: output_address <= s_axil_wdata[23:0];
                8'h34: output_words <= s_axil_wdata[23:0];
                8'h38: output_run <= s_axil_wdata[23:0];
                8'h3C: output_stride <= s_axil_wdata[23:0];
                8'h40: load_word <= shifted_in[32*CHUNKS+31:32];
                8'h44: begin
                    load_commit <= 1'b1;
                    load_target <= s_axil_wdata[25:0];
                end
                default: ;
            endcase
        end
        if (read) begin
            s_axil_rvalid <= 1'b1;
            case (s_axil_araddr)
                8'h04: s_axil_rdata <= {29'd0, accumulator_overflow, done, state != REST};
                8'h08: s_axil_rdata <= seed;
                8'h0C: s_axil_rdata <= cycles;
                8'h10: s_axil_rdata <= mac_cycles;
                8'h14: s_axil_rdata <= saturations;
                8'h18: s_axil_rdata <= argmax;
                default: s_axil_rdata <= 32'd0;
            endcase
        end
        if (!reset_n) begin
            s_axil_bvalid <= 1'b0;
            s_axil_rvalid <= 1'b0;
        end
    end

    // What to do next, after `done_now` of this round: 0 nothing yet, 1 received, 2 run, 3 sent.
    wire [3:0] request = state == REST ? s_axil_wdata[3:0] : control;
    reg  [2:0] next_state;
    always @* begin
        case (state)
            REST: next_state = request[0] ? RECEIVE : request[1] ? START : request[2] ? FETCH : REST;
            RECEIVE: next_state = request[1] ? START : request[2] ? FETCH : request[3] ? RECEIVE : REST;
            RUN: next_state = request[2] ? FETCH : !request[3] ? REST : request[0] ? RECEIVE : START;
            default: next_state = !request[3] ? REST : request[0] ? RECEIVE : request[1] ? START : FETCH;
        endcase
    end

    wire finished = state == REST ? command
                  : state == RECEIVE ? receive_beat && last
                  : state == RUN ? done
                  : state == SEND && m_axis_tready && last;

    always @(posedge clock) begin
        if (command && state == REST) control <= s_axil_wdata[3:0];
        else if (command && s_axil_wdata == 32'd0) control[3] <= 1'b0;

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
            run_left <= next_state == RECEIVE ? input_run : output_run;
            run_words <= next_state == RECEIVE ? input_run : output_run;
            stride <= next_state == RECEIVE ? input_stride : output_stride;
            address <= next_state == RECEIVE ? input_address : output_address;
            run_start <= next_state == RECEIVE ? input_address : output_address;
        end

        if (!reset_n) begin
            state <= REST;
            control <= 4'd0;
            m_axis_tvalid <= 1'b0;
        end
    end

    // The engine is busy only in state RUN.
    wire unused_busy = busy;
endmodule
`default_nettype wire
