// SPDX-License-Identifier: MIT
// The wire protocol: requests from a host become reads, writes and starts of the engine, and each gets one answer.
//
//   request   A5  tag command address[3] count[2]  crc[2]     WRITE and LOAD: then `count` words, and their crc[2]
//   answer    5A  tag result  length[2]  `length` bytes  crc[2]
//
// Numbers are sent lowest byte first, checksums (crc16.v, initially FFFF, without A5 and 5A) highest byte first. A word
// has ceil(ACTIVATION_WIDTH / 8) bytes for WRITE and READ, and ceil(LOAD_WIDTH / 8) bytes for LOAD, of any memory.
// A request has no effect before the checksum of its head is verified. A damaged or incomplete request is answered
// when the line has been silent for TIMEOUT clocks, so that the next request is always understood. docs/board.md
// has the commands. With HOST_WRITES a word of WRITE stands until a busy engine lets it in; if the next byte comes
// before that, the request is answered as any other one that a busy engine does not serve.
// Python twin: fixedpoint_nn/board/frames.py.
`default_nettype none
module host_link #(
    // Clocks of silence in the middle of a request after which it is aborted, 1 to 2**24 - 1.
    parameter TIMEOUT = 100000,
    // Bits of a word of the activation memory, and of the load port.
    parameter ACTIVATION_WIDTH = 16,
    parameter LOAD_WIDTH = 128,
    // WRITE is possible while the engine is busy (1), or not (0).
    parameter HOST_WRITES = 0,
    // Bytes that identify the engine, and what they are; byte 0 in the lowest bits.
    parameter IDENTITY_BYTES = 1,
    parameter [8*IDENTITY_BYTES-1:0] IDENTITY = 8'd0
) (
    input  wire                               clock,
    input  wire                               reset,

    // Bytes from and to the line.
    input  wire [7:0]                         received,
    input  wire                               received_valid,
    output reg  [7:0]                         sent,
    output reg                                send,
    input  wire                               send_ready,
    // No request is in progress.
    output wire                               idle,

    // The engine's ports.
    output reg                                engine_reset,
    output reg                                start,
    output wire [31:0]                        seed,
    input  wire                               busy,
    input  wire                               done,
    input  wire                               host_turn,
    output reg                                host_write,
    output reg  [23:0]                        address,
    output wire signed [ACTIVATION_WIDTH-1:0] host_write_data,
    input  wire signed [ACTIVATION_WIDTH-1:0] host_read_data,
    output reg                                load_enable,
    output wire [1:0]                         load_memory,
    output wire [LOAD_WIDTH-1:0]              load_data,
    input  wire [31:0]                        cycles,
    input  wire [31:0]                        mac_cycles,
    input  wire [31:0]                        saturations,
    input  wire                               accumulator_overflow,
    input  wire [31:0]                        argmax
);
    localparam [7:0] REQUEST = 8'hA5, ANSWER = 8'h5A;
    // LOAD + 0 to 3: the memory.
    localparam [7:0] IDENTIFY = 8'd1, STATUS = 8'd2, RESET = 8'd3, START = 8'd4, READ = 8'd5, WRITE = 8'd6, LOAD = 8'd8;
    localparam [7:0] DONE = 8'd0, DAMAGED = 8'd1, CUT_SHORT = 8'd2, BUSY = 8'd3, UNKNOWN = 8'd4;

    localparam WORD_BYTES = (ACTIVATION_WIDTH + 7) / 8;
    localparam LOAD_BYTES = (LOAD_WIDTH + 7) / 8;
    localparam DATA_BYTES = LOAD_BYTES > WORD_BYTES ? LOAD_BYTES : WORD_BYTES;
    localparam STATUS_BYTES = 17;
    localparam [7:0] LAST_OF_WORD = WORD_BYTES[7:0] - 8'd1, LAST_OF_LOAD = LOAD_BYTES[7:0] - 8'd1;

    localparam [3:0] IDLE = 0, HEAD = 1, ACT = 2, DATA = 3, CHECK = 4, SILENCE = 5;
    localparam [3:0] ANSWER_HEAD = 6, ABOUT = 7, FETCH = 8, WORD = 9, ANSWER_CRC = 10;

    reg [3:0] state;
    reg [55:0] head;
    reg [7:0] left, result;
    reg [15:0] count, length, crc;
    reg [23:0] timer;
    reg [1:0] pause;
    reg [8*DATA_BYTES-1:0] data;
    initial {state, send, engine_reset, start, host_write, load_enable} = 9'd0;
    assign idle = state == IDLE;

    wire [7:0] tag = head[7:0], command = head[15:8];
    wire loads = command[7:2] == LOAD[7:2];
    assign seed = head[47:16];
    assign load_memory = command[1:0];
    // A word at the engine's port is written in this clock.
    wire taken = HOST_WRITES == 0 || !busy || host_turn;
    // The newest bytes are the highest.
    assign host_write_data = data[8*(DATA_BYTES-WORD_BYTES) +: ACTIVATION_WIDTH];
    assign load_data = data[8*(DATA_BYTES-LOAD_BYTES) +: LOAD_WIDTH];

    // The answers to STATUS and IDENTIFY, byte by byte.
    localparam ABOUT_BYTES = STATUS_BYTES + IDENTITY_BYTES;
    wire [8*ABOUT_BYTES-1:0] about = {
        IDENTITY, argmax, saturations, mac_cycles, cycles, 5'd0, accumulator_overflow, done, busy
    };
    reg [7:0] place;

    // A word that was read, sign-extended to whole bytes.
    localparam SPARE = 8 * WORD_BYTES - ACTIVATION_WIDTH;
    wire [8*WORD_BYTES-1:0] read_word;
    generate
        if (SPARE == 0) begin : whole_bytes
            assign read_word = host_read_data;
        end else begin : spare_bits
            assign read_word = {{SPARE{host_read_data[ACTIVATION_WIDTH-1]}}, host_read_data};
        end
    endgenerate

    // The next byte of an answer.
    reg [7:0] next_sent;
    always @*
        case (state)
            ANSWER_HEAD:
                case (left[2:0])
                    3'd4: next_sent = ANSWER;
                    3'd3: next_sent = tag;
                    3'd2: next_sent = result;
                    3'd1: next_sent = length[7:0];
                    default: next_sent = length[15:8];
                endcase
            ABOUT: next_sent = about[8*place +: 8];
            WORD: next_sent = data[7:0];
            default: next_sent = crc[15:8];
        endcase

    wire sending = send_ready && !send;
    wire [15:0] next_crc;
    crc16 u_crc16 (.crc(crc), .data(received_valid ? received : next_sent), .next(next_crc));

    always @(posedge clock) begin
        {send, engine_reset, start, load_enable} <= 4'd0;
        host_write <= host_write && !taken;
        if (host_write && taken || load_enable) address <= address + 24'd1;
        timer <= received_valid ? TIMEOUT[23:0] : timer - 24'd1;
        if (sending) sent <= next_sent;
        case (state)
            IDLE: begin
                crc <= 16'hFFFF;
                left <= 8'd8;
                result <= DONE;
                length <= 16'd0;
                if (received_valid && received == REQUEST) state <= HEAD;
            end
            HEAD: if (received_valid) begin
                crc <= next_crc;
                left <= left - 8'd1;
                if (left > 8'd1) head <= {received, head[55:8]};
                if (left == 8'd0) begin
                    if (next_crc == 16'd0) state <= ACT;
                    else {state, result} <= {SILENCE, DAMAGED};
                end
            end
            ACT: begin
                crc <= 16'hFFFF;
                {count, address} <= head[55:16];
                left <= 8'd4;
                pause <= 2'd3;
                state <= ANSWER_HEAD;
                case (command)
                    IDENTIFY: {length, place} <= {IDENTITY_BYTES[15:0], STATUS_BYTES[7:0]};
                    STATUS: {length, place} <= {STATUS_BYTES[15:0], 8'd0};
                    RESET: engine_reset <= 1'b1;
                    START: if (busy) result <= BUSY; else start <= 1'b1;
                    READ: if (busy) result <= BUSY; else length <= head[55:40] * WORD_BYTES[15:0];
                    default: begin
                        left <= loads ? LAST_OF_LOAD : LAST_OF_WORD;
                        if ((!loads && command != WRITE) || head[55:40] == 16'd0) {state, result} <= {SILENCE, UNKNOWN};
                        else if (busy && (loads || HOST_WRITES == 0)) {state, result} <= {SILENCE, BUSY};
                        else state <= DATA;
                    end
                endcase
            end
            DATA: if (received_valid) begin
                crc <= next_crc;
                data <= {received, data[8*DATA_BYTES-1:8]};
                left <= left - 8'd1;
                if (left == 8'd0) begin
                    left <= loads ? LAST_OF_LOAD : LAST_OF_WORD;
                    host_write <= !loads;
                    load_enable <= loads;
                    count <= count - 16'd1;
                    if (count == 16'd1) {state, left} <= {CHECK, 8'd1};
                end
            end
            CHECK: if (received_valid) begin
                crc <= next_crc;
                left <= left - 8'd1;
                if (left == 8'd0) begin
                    crc <= 16'hFFFF;
                    left <= 8'd4;
                    if (next_crc == 16'd0) state <= ANSWER_HEAD;
                    else {state, result} <= {SILENCE, DAMAGED};
                end
            end
            SILENCE: if (timer == 24'd0) begin
                crc <= 16'hFFFF;
                left <= 8'd4;
                state <= ANSWER_HEAD;
            end
            ANSWER_HEAD: if (sending) begin
                send <= 1'b1;
                left <= left - 8'd1;
                if (left != 8'd4) crc <= next_crc;
                if (left == 8'd0) begin
                    left <= 8'd1;
                    state <= length == 16'd0 ? ANSWER_CRC : command == READ ? FETCH : ABOUT;
                end
            end
            ABOUT: if (sending) begin
                send <= 1'b1;
                crc <= next_crc;
                place <= place + 8'd1;
                length <= length - 16'd1;
                if (length == 16'd1) state <= ANSWER_CRC;
            end
            FETCH: begin  // two clocks from an address to its word
                pause <= pause - 2'd1;
                data[8*WORD_BYTES-1:0] <= read_word;
                left <= LAST_OF_WORD;
                if (pause == 2'd0) {state, address} <= {WORD, address + 24'd1};
            end
            WORD: if (sending) begin
                send <= 1'b1;
                crc <= next_crc;
                data <= {8'd0, data[8*DATA_BYTES-1:8]};
                left <= left - 8'd1;
                length <= length - 16'd1;
                if (length == 16'd1) {state, left} <= {ANSWER_CRC, 8'd1};
                else if (left == 8'd0) state <= FETCH;
            end
            ANSWER_CRC: if (sending) begin
                send <= 1'b1;
                crc <= {crc[7:0], 8'd0};
                left <= left - 8'd1;
                if (left == 8'd0) state <= IDLE;
            end
            default: state <= IDLE;
        endcase
        // The engine has not taken the word before this byte.
        if (HOST_WRITES != 0 && (state == DATA || state == CHECK) && received_valid && host_write && !taken) begin
            host_write <= 1'b0;
            {state, result} <= {SILENCE, BUSY};
        end
        // An incomplete request.
        if ((state == HEAD || state == DATA || state == CHECK) && !received_valid && timer == 24'd0) begin
            crc <= 16'hFFFF;
            left <= 8'd4;
            host_write <= 1'b0;
            {state, result} <= {ANSWER_HEAD, CUT_SHORT};
        end
        if (reset) begin
            state <= IDLE;
            {send, engine_reset, start, host_write, load_enable} <= 5'd0;
        end
    end
endmodule
`default_nettype wire
