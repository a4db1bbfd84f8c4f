// Frames and messages: the wire format is fixed, and nothing else is accepted.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "common/limits.hpp"
#include "tests/support/wire/wire_bytes.hpp"
#include "tests/support/wire/wire_samples.hpp"

using namespace notp;
using namespace notp::wire;
using namespace notp::wire::samples;

namespace {

Message sample(size_t index) { return samples::all().at(index); }

ErrorCode parse_code(ByteView stream) {
  FrameParser parser;
  parser.feed(stream);
  while (true) {
    auto next = parser.next();
    if (!next) return next.error().code;
    if (!*next) return ErrorCode{};
  }
}

Bytes hello_payload(const Bytes& more = {}) { return field(1, "\x01") + more; }

Bytes offer_payload(const Bytes& more = {}) {
  return varint_field(1, 1) + field(2, ledger_bytes()) + varint_field(3, 2) +
         field(5, hash_bytes()) + varint_field(6, 100) + more;
}

// For subscription 0, of release 2.
Bytes short_offer_payload(const Bytes& more = {}) {
  return varint_field(3, 2) + varint_field(6, 100) + more;
}
Bytes publish_payload(const Bytes& more = {}) {
  return varint_field(1, 1) + field(2, ledger_bytes()) + varint_field(4, 1) + varint_field(6, 100) +
         more;
}
// 25 bytes are a trace context that is sampled.
Bytes trace_bytes(size_t size) { return Bytes(size - 1, 't') + '\1'; }
Bytes commit_payload(uint64_t state) {
  return field(1, ledger_bytes()) + varint_field(2, 1) + varint_field(3, state);
}

}  // namespace

TEST_CASE("every message has the bytes it always had") {
  for (const Sample& each : samples::table()) {
    CAPTURE(name_of(each.message));
    CHECK(to_hex(encode_frame(each.message)) == each.frame);
  }
}

TEST_CASE("every request and every response has a sample") {
  std::set<size_t> requests, responses;
  for (const Message& message : samples::all()) {
    if (const auto* request = std::get_if<Request>(&message))
      requests.insert(request->what.index());
    if (const auto* response = std::get_if<Response>(&message))
      responses.insert(response->what.index());
  }
  CHECK(requests.size() == std::variant_size_v<decltype(Request::what)>);
  responses.insert(0);  // Done, which has no bytes
  CHECK(responses.size() == std::variant_size_v<decltype(Response::what)>);
}

TEST_CASE("every message decodes to itself, also one byte at a time") {
  Bytes stream;
  for (const Message& message : samples::all()) stream += encode_frame(message);
  FrameParser parser;
  Bytes again;
  size_t count = 0;
  for (char byte : stream) {
    parser.feed(ByteView(&byte, 1));
    auto next = parser.next();
    REQUIRE(next);
    if (!*next) continue;
    CHECK((*next)->index() == samples::all()[count++].index());
    again += encode_frame(**next);
  }
  CHECK(again == stream);
  CHECK_FALSE(parser.in_frame());
}

TEST_CASE("a stream cut at any byte is seen as cut, and yields only what was whole") {
  const Bytes first = encode_frame(sample(0)), second = encode_frame(sample(2));
  const Bytes stream = first + second;
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameParser parser;
    parser.feed(ByteView(stream).substr(0, cut));
    size_t whole = 0;
    while (true) {
      auto next = parser.next();
      REQUIRE(next);
      if (!*next) break;
      ++whole;
    }
    CHECK(whole == size_t(cut >= first.size()) + size_t(cut == stream.size()));
    CHECK(parser.in_frame() == (cut != 0 && cut != first.size() && cut != stream.size()));
  }
}

TEST_CASE("decoded fields are the ones that were encoded") {
  FrameParser parser;
  parser.feed(encode_frame(sample(0)));
  auto next = parser.next();
  REQUIRE(next);
  REQUIRE(*next);
  const auto& hello = std::get<Hello>(**next);
  CHECK(hello.versions == std::vector<uint32_t>{1});
  CHECK(hello.freshness_sequence == 99);
  REQUIRE(hello.wants.size() == 1);
  CHECK(hello.wants[0].ledger == samples::kLedger);
  CHECK(hello.wants[0].base == Base{41, samples::hash_of(0xb1)});
  REQUIRE(hello.wants[0].older.size() == 2);
  CHECK(hello.wants[0].older[1].version == 38);
  REQUIRE(hello.wants[0].resume);
  CHECK(hello.wants[0].resume->offset == 262144);
  CHECK(hello.wants[0].heads_only);
}

TEST_CASE("absent optional fields stay absent") {
  Want want;
  want.ledger = samples::kLedger;
  const Bytes frame = encode_frame(WantMore{{want}});
  FrameParser parser;
  parser.feed(frame);
  const auto next = parser.next();
  REQUIRE(next);
  const auto& back = std::get<WantMore>(**next).wants.at(0);
  CHECK_FALSE(back.base);
  CHECK_FALSE(back.resume);
  CHECK(back.older.empty());
  CHECK(back.version == 0);
}

TEST_CASE("a chunk's header goes before bytes that are sent from where they lie") {
  const Bytes content(limits::kChunkBytesMax, 'c');
  const Bytes frame = encode_chunk_header(300, content.size()) + content;
  CHECK(frame == encode_frame(Chunk{300, content}));
  FrameParser parser;
  parser.feed(frame);
  const auto next = parser.next();
  REQUIRE(next);
  CHECK(std::get<Chunk>(**next).stream == 300);
  CHECK(std::get<Chunk>(**next).bytes == content);
}

TEST_CASE("framing: a bad header is refused by itself, before its payload comes") {
  CHECK(parse_code(Bytes("\x00", 1)) == ErrorCode::kFrame);            // type 0
  CHECK(parse_code("\x0f") == ErrorCode::kFrame);                      // unassigned critical type
  CHECK(parse_code("\x7f") == ErrorCode::kFrame);                      // last critical type
  CHECK(parse_code("\x01\x81\x80\x40") == ErrorCode::kFrame);          // 1 MiB + 1
  CHECK(parse_code("\x01\xff\xff\xff\x7f") == ErrorCode::kFrame);      // 2^28 - 1
  CHECK(parse_code("\x01\xff\xff\xff\xff\x0f") == ErrorCode::kFrame);  // 2^32 - 1
  CHECK(parse_code(Bytes("\x07\x82\x00", 3)) == ErrorCode::kFrame);    // 2 in two bytes
  CHECK(parse_code("\x80\x81\x80\x40") == ErrorCode::kFrame);          // skippable, but too long
  CHECK(parse_code("\x01\x80\x80\x40") == ErrorCode{});                // 1 MiB: may come
}

TEST_CASE("framing: what is unknown and not critical is skipped") {
  const Bytes ping = encode_frame(Ping{5});
  FrameParser parser;
  parser.feed(raw_frame(200, "from a newer peer") + raw_frame(255, {}) + ping);
  const auto next = parser.next();
  REQUIRE(next);
  REQUIRE(*next);
  CHECK(std::get<Ping>(**next).nonce == 5);
}

TEST_CASE("framing: after junk behind a valid frame the parser stays failed") {
  FrameParser parser;
  parser.feed(encode_frame(Ping{5}) + "GET / HTTP/1.1\r\n");
  CHECK(parser.next().has_value());
  REQUIRE_FALSE(parser.next());
  parser.feed(encode_frame(Ping{6}));
  const auto next = parser.next();
  REQUIRE_FALSE(next);
  CHECK(next.error().code == ErrorCode::kFrame);
  CHECK_FALSE(parser.in_frame());
}

TEST_CASE("framing: an empty payload is a message only where every field may be absent") {
  CHECK(parse_code(raw_frame(7, {})) == ErrorCode{});
  for (uint8_t type :
       {1, 2, 3, 4, 5, 6, 11, 12, 16, 18, 20, 21, 128, 129, 130, 131, 132, 133, 134}) {
    CAPTURE(int{type});
    CHECK(parse_code(raw_frame(type, {})) == ErrorCode::kMessage);
  }
}

TEST_CASE("protobuf: hostile payloads are refused") {
  const Bytes eleven_byte_varint = Bytes("\x08") + Bytes(10, '\xff') + Bytes("\x01");
  struct Row {
    std::string_view name;
    FrameType type;
    Bytes payload;
  };
  Bytes wants;
  for (size_t i = 0; i <= limits::kLedgersPerSessionMax; ++i)
    wants += field(5, field(1, ledger_bytes()));
  Bytes older;
  for (size_t i = 0; i <= limits::kOlderBasesMax; ++i)
    older += field(3, varint_field(1, 1) + field(2, hash_bytes()));
  Bytes empties;
  for (size_t i = 0; i < 500'000; ++i) empties += Bytes("\x2a\x00", 2);
  Bytes groups;
  for (size_t i = 0; i < 1'000'000; ++i) groups += '\x7b';
  const Row rows[] = {
      {"varint of 11 bytes", FrameType::kPing, eleven_byte_varint},
      {"varint cut short", FrameType::kPing, "\x08\xff"},
      {"varint not in shortest form", FrameType::kPing, Bytes("\x08\x81\x00", 3)},
      {"field number 0", FrameType::kPing, Bytes("\x00\x01", 2)},
      {"wrong wire type", FrameType::kPing, field(1, "x")},
      {"fixed64 for a varint", FrameType::kPing,
       "\x09"
       "12345678"},
      {"wire type 6", FrameType::kPing, "\x0e"},
      {"duplicate singular", FrameType::kPing, varint_field(1, 1) + varint_field(1, 2)},
      {"duplicate text", FrameType::kBye, field(1, "a") + field(1, "b")},
      {"duplicate sub-message", FrameType::kOffer, offer_payload(field(2, ledger_bytes()))},
      {"duplicate inside a sub-message", FrameType::kHello,
       hello_payload(field(5, field(1, ledger_bytes() + varint_field(1, 273165098783))))},
      {"two members of a oneof", FrameType::kRequest, field(3, varint_field(2, 1)) + field(4, {})},
      {"the same member of a oneof twice", FrameType::kRequest, field(4, {}) + field(4, {})},
      {"bad UTF-8", FrameType::kBye, field(1, "caf\xe9")},
      {"overlong UTF-8", FrameType::kBye, field(1, "\xc0\xaf")},
      {"a surrogate", FrameType::kBye, field(1, "\xed\xa0\x80")},
      {"a length past the end", FrameType::kBye,
       "\x0a\x7f"
       "abc"},
      {"a length of 2^64 - 1", FrameType::kBye, Bytes("\x0a") + Bytes(9, '\xff') + Bytes("\x01")},
      {"10^6 groups", FrameType::kPing, groups},
      {"an end group", FrameType::kPing, "\x7c"},
      {"half a million empty wants", FrameType::kHello, hello_payload(empties)},
      {"a want too many", FrameType::kHello, hello_payload(wants)},
      {"an older base too many", FrameType::kWantMore, field(1, field(1, ledger_bytes()) + older)},
      {"too many protocol versions", FrameType::kHello, field(1, Bytes(17, '\x01'))},
      {"too many unpacked protocol versions", FrameType::kHello,
       [] {
         Bytes out;
         for (int i = 0; i < 17; ++i) out += varint_field(1, 1);
         return out;
       }()},
      {"a protocol version over 32 bits", FrameType::kHello, varint_field(1, 1ULL << 32)},
      {"no protocol version", FrameType::kHello, field(2, "agent")},
      {"a state of 0", FrameType::kCommit, commit_payload(0)},
      {"an unknown state", FrameType::kCommit, commit_payload(4)},
      {"a state that 32 bits would cut to 1", FrameType::kCommit, commit_payload((1ULL << 32) + 1)},
      {"a negative state", FrameType::kCommit, commit_payload(UINT64_MAX)},
      {"a truth value of 2", FrameType::kWantMore,
       field(1, field(1, ledger_bytes()) + varint_field(6, 2))},
      {"no ledger", FrameType::kWantMore, field(1, varint_field(6, 1))},
      {"a report on an empty ledger", FrameType::kCommit,
       field(1, {}) + varint_field(2, 1) + varint_field(3, 1)},
      {"a report on a ledger and a subscription", FrameType::kCommit,
       commit_payload(1) + varint_field(8, 1)},
      {"a report on a subscription over 32 bits", FrameType::kCommit,
       varint_field(2, 1) + varint_field(3, 1) + varint_field(8, 1ULL << 32)},
      {"an offer of an empty ledger", FrameType::kOffer, short_offer_payload(field(2, {}))},
      {"an offer of a ledger, for a subscription", FrameType::kOffer,
       offer_payload(varint_field(9, 1))},
      {"an offer of a ledger, behind another", FrameType::kOffer,
       offer_payload(varint_field(10, 1))},
      {"an offer for a subscription over 32 bits", FrameType::kOffer,
       short_offer_payload(varint_field(9, 1ULL << 32))},
      {"an offer for a subscription, with a base", FrameType::kOffer,
       short_offer_payload(field(4, varint_field(1, 1) + field(2, hash_bytes())))},
      {"an offer for a subscription, with a content root", FrameType::kOffer,
       short_offer_payload(field(8, hash_bytes()))},
      {"an offer for a subscription, from before the first release", FrameType::kOffer,
       short_offer_payload(varint_field(10, 2))},
      {"an offer for a subscription, from the middle of an unknown artifact", FrameType::kOffer,
       short_offer_payload(varint_field(7, 1))},
      {"a report on no release", FrameType::kCommit, field(1, ledger_bytes()) + varint_field(3, 1)},
      {"an empty ledger", FrameType::kWantMore, field(1, field(1, {}))},
      {"a zone too small", FrameType::kWantMore,
       field(1, field(1, ledger_bytes(limits::kZoneMin - 1)))},
      {"a ledger name with a slash", FrameType::kWantMore,
       field(1, field(1, ledger_bytes(limits::kZoneMin, "a/b")))},
      {"a ledger name with a NUL", FrameType::kWantMore,
       field(1, field(1, ledger_bytes(limits::kZoneMin, ByteView("a\0b", 3))))},
      {"a ledger name too long", FrameType::kWantMore,
       field(1, field(1, ledger_bytes(limits::kZoneMin, Bytes(129, 'a'))))},
      {"a hash of 31 bytes", FrameType::kOffer, offer_payload(field(8, hash_bytes('x', 31)))},
      {"a hash of 33 bytes", FrameType::kOffer, offer_payload(field(8, hash_bytes('x', 33)))},
      {"no artifact id", FrameType::kOffer,
       varint_field(1, 1) + field(2, ledger_bytes()) + varint_field(3, 2)},
      {"a base without content root", FrameType::kOffer,
       offer_payload(field(4, varint_field(1, 1)))},
      {"a base of version 0", FrameType::kOffer, offer_payload(field(4, field(2, hash_bytes())))},
      {"a version of 2^64 - 1", FrameType::kOffer,
       varint_field(1, 1) + field(2, ledger_bytes()) + varint_field(3, UINT64_MAX) +
           field(5, hash_bytes())},
      {"an offset past the artifact", FrameType::kOffer, offer_payload(varint_field(7, 101))},
      {"an artifact too large", FrameType::kOffer,
       varint_field(1, 1) + field(2, ledger_bytes()) + varint_field(3, 2) + field(5, hash_bytes()) +
           varint_field(6, limits::kArtifactBytesMax + 1)},
      {"a chunk without stream", FrameType::kChunk, {}},
      {"a chunk without bytes", FrameType::kChunk, "\x01"},
      {"a chunk too long", FrameType::kChunk,
       Bytes("\x01") + Bytes(limits::kChunkBytesMax + 1, 'c')},
      {"a chunk's stream over 32 bits", FrameType::kChunk,
       "\x80\x80\x80\x80\x10"
       "c"},
      {"a text too long", FrameType::kBye, field(1, Bytes(limits::kErrorTextBytesMax + 1, 'a'))},
      {"a malformed trust domain", FrameType::kWelcome, varint_field(1, 1) + field(3, "a b")},
      {"a head without content root", FrameType::kWelcome,
       varint_field(1, 1) + field(3, "core-platform.internal") +
           field(6, field(1, ledger_bytes()) + varint_field(2, 1) + field(3, hash_bytes()))},
      {"a head without release, with a hash", FrameType::kWelcome,
       varint_field(1, 1) + field(3, "core-platform.internal") +
           field(6, field(1, ledger_bytes()) + field(3, hash_bytes()))},
      {"a query for nothing", FrameType::kRequest, varint_field(1, 1)},
      {"a query for something unknown", FrameType::kRequest, varint_field(1, 1) + field(2000, {})},
      {"too many rows asked for", FrameType::kRequest,
       field(3, varint_field(2, limits::kQueryRowsMax + 1))},
      {"no want", FrameType::kWantMore, {}},
      {"a trace context of 24 bytes", FrameType::kOffer, offer_payload(field(13, trace_bytes(24)))},
      {"a trace context of 26 bytes", FrameType::kOffer, offer_payload(field(13, trace_bytes(26)))},
      {"a trace context without trace id", FrameType::kOffer,
       offer_payload(field(13, Bytes(16, '\0') + trace_bytes(25).substr(16)))},
      {"a trace context without span id", FrameType::kOffer,
       short_offer_payload(
           field(13, trace_bytes(16) + Bytes(8, '\0') + trace_bytes(25).substr(24)))},
      {"a trace context of 25 zeros", FrameType::kOffer,
       short_offer_payload(field(13, Bytes(25, '\0')))},
      {"two trace contexts", FrameType::kOffer,
       offer_payload(field(13, trace_bytes(25)) + field(13, trace_bytes(25)))},
      {"a publish with a trace context of 24 bytes", FrameType::kPublish,
       publish_payload(field(11, trace_bytes(24)))},
      {"a publish with a trace context of 26 bytes", FrameType::kPublish,
       publish_payload(field(11, trace_bytes(26)))},
      {"a publish with a trace context without ids", FrameType::kPublish,
       publish_payload(field(11, Bytes(24, '\0') + Bytes(1, '\1')))},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CAPTURE(decode_text(row.type, row.payload));
    CHECK(decode_code(row.type, row.payload) == ErrorCode::kMessage);
  }
}

TEST_CASE("protobuf: what the hostile rows vary is accepted as it is") {
  CHECK(decode_text(FrameType::kHello, hello_payload()) == "accepted");
  CHECK(decode_text(FrameType::kHello, varint_field(1, 1)) == "accepted");
  CHECK(decode_text(FrameType::kOffer, offer_payload()) == "accepted");
  CHECK(decode_text(FrameType::kOffer, offer_payload(varint_field(7, 100))) == "accepted");
  CHECK(decode_text(FrameType::kCommit, commit_payload(3)) == "accepted");
  CHECK(decode_text(FrameType::kCommit, varint_field(2, 1) + varint_field(3, 1)) == "accepted");
  CHECK(decode_text(FrameType::kOffer, short_offer_payload(varint_field(10, 1))) == "accepted");
  CHECK(decode_text(FrameType::kOffer, short_offer_payload(varint_field(7, 1) +
                                                           field(5, hash_bytes()))) == "accepted");
  CHECK(decode_text(FrameType::kOffer, offer_payload(field(13, trace_bytes(25)))) == "accepted");
  CHECK(decode_text(FrameType::kOffer, short_offer_payload(field(13, trace_bytes(25)))) ==
        "accepted");
  CHECK(decode_text(FrameType::kPublish, publish_payload(field(11, trace_bytes(25)))) ==
        "accepted");
  CHECK(decode_text(FrameType::kRequest, field(4, {})) == "accepted");
  CHECK(decode_text(FrameType::kBye, field(1, "caf\xc3\xa9")) == "accepted");
  CHECK(decode_text(FrameType::kBye, field(1, Bytes(limits::kErrorTextBytesMax, 'a'))) ==
        "accepted");
}

TEST_CASE("a trace context arrives as it was sent, without flags that are not known") {
  const auto trace_of = [](uint8_t flags) {
    Bytes bytes = trace_bytes(25);
    bytes.back() = static_cast<char>(flags);
    const auto message = decode_payload(static_cast<uint8_t>(FrameType::kPublish),
                                        publish_payload(field(11, bytes)));
    REQUIRE(message);
    const auto trace = std::get<Publish>(*message).trace;
    REQUIRE(trace);
    return *trace;
  };
  CHECK(to_hex(trace_of(1).bytes()) == to_hex(trace_bytes(25)));
  CHECK(trace_of(1).is_sampled);
  CHECK(trace_of(0xff) == trace_of(1));
  CHECK_FALSE(trace_of(0xfe).is_sampled);
}

TEST_CASE("protobuf: a newer peer's unknown fields are skipped") {
  const Bytes payload = varint_field(1, 9) + field(15, "later") + field(15, "later") +
                        varint_field(3000, 1) +
                        "\x2d"
                        "1234" +
                        "\x29"
                        "12345678";
  const auto decoded = decode_payload(static_cast<uint8_t>(FrameType::kPing), payload);
  REQUIRE(decoded);
  CHECK(std::get<Ping>(*decoded).nonce == 9);
}

TEST_CASE("an error code of a newer peer reads as an internal one") {
  const auto decoded =
      decode_payload(static_cast<uint8_t>(FrameType::kError), varint_field(1, 60'000));
  REQUIRE(decoded);
  CHECK(std::get<ErrorMessage>(*decoded).code == ErrorCode::kInternal);
}

TEST_CASE("an unknown type is a frame error wherever it is decoded") {
  CHECK(decode_code(static_cast<FrameType>(15), {}) == ErrorCode::kFrame);
  CHECK(decode_code(static_cast<FrameType>(200), {}) == ErrorCode::kFrame);
}

TEST_CASE("foreign text is made UTF-8 and cut between characters when it is sent") {
  Bytes text(limits::kErrorTextBytesMax - 1, 'a');
  text += "\xc3\xa9";
  const auto sent = [](const Bytes& reason) {
    const Bytes frame = encode_frame(Bye{reason, 0});
    FrameParser parser;
    parser.feed(frame);
    const auto next = parser.next();
    REQUIRE(next);
    REQUIRE(*next);
    return std::get<Bye>(**next).reason;
  };
  CHECK(sent(text) == Bytes(limits::kErrorTextBytesMax - 1, 'a'));
  CHECK(sent("caf\xe9!") == "caf\xef\xbf\xbd!");
  CHECK(sent(Bytes(5000, '\xff')).size() <= limits::kErrorTextBytesMax);
}

TEST_CASE("an answer that is too long for a frame loses its last rows and says so") {
  HistoryPage page;
  HistoryRow row = samples::history_row();
  row.envelope = Bytes(limits::kEnvelopeBytesMax, 'e');
  for (uint64_t version = 1; version <= 40; ++version) {
    row.version = version;
    page.rows.push_back(row);
  }
  const Bytes frame = encode_frame(Response{.what = page});
  CHECK(frame.size() <= limits::kFrameBytesMax + limits::kFrameHeaderBytesMax);
  FrameParser parser;
  parser.feed(frame);
  const auto next = parser.next();
  REQUIRE(next);
  const auto& back = std::get<HistoryPage>(std::get<Response>(**next).what);
  CHECK(back.more);
  CHECK(back.rows.size() == 15);
  CHECK(back.rows.back().version == 15);
}

TEST_CASE("the largest messages that the limits allow fit into a frame") {
  PublishResult result = std::get<PublishResult>(sample(11));
  result.findings.assign(limits::kFindingsMax, {Bytes(9000, 'p'), 1, "rule", Bytes(9000, 'm')});
  CHECK(parse_code(encode_frame(result)) == ErrorCode{});

  Want want = samples::want();
  want.ledger.name = Bytes(limits::kNameBytesMax, 'n');
  want.older.assign(limits::kOlderBasesMax, Base{limits::kVersionMax, samples::hash_of(1)});
  Hello hello = std::get<Hello>(sample(0));
  hello.wants.assign(limits::kLedgersPerSessionMax, want);
  CHECK(parse_code(encode_frame(hello)) == ErrorCode{});

  Welcome welcome = std::get<Welcome>(sample(1));
  welcome.heads.assign(limits::kLedgersPerSessionMax, samples::head());
  welcome.refusals.assign(limits::kLedgersPerSessionMax,
                          {samples::kLedger, ErrorCode::kDenied, Bytes(9000, 'w')});
  CHECK(parse_code(encode_frame(welcome)) == ErrorCode{});
}
