// Messages about key sources: what their limits and rules refuse, and how a page is bounded.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/wire/source_limits.hpp"
#include "tests/support/wire/wire_bytes.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::wire {
namespace {

using namespace samples;

Bytes status_bytes(ByteView name = "login", const Bytes& state = varint_field(4, 1),
                   const Bytes& issuer = field(2, "https://login.internal"),
                   const Bytes& ledger = field(3, ledger_bytes()),
                   const Bytes& good = varint_field(5, 1'750'000'000'000)) {
  return field(1, name) + issuer + ledger + state + good;
}

Bytes statuses(size_t count) {
  Bytes out;
  for (size_t i = 0; i < count; ++i) out += field(1, status_bytes(fmt::format("i{:03}", i)));
  return out;
}

Bytes row_with(const Bytes& rest) { return field(28, field(1, status_bytes()) + rest); }

Bytes kids(size_t count, ByteView kid = "k") {
  Bytes out;
  for (size_t i = 0; i < count; ++i) out += field(10, kid);
  return out;
}

TEST_CASE("sources: hostile payloads are refused") {
  const Bytes issuer = field(1, "https://login.internal"), kid = field(2, "2026-06");
  const struct {
    std::string_view name;
    FrameType type;
    Bytes payload;
  } rows[] = {
      {"a key of nobody", FrameType::kUnknownKey, kid},
      {"no key", FrameType::kUnknownKey, issuer},
      {"an issuer too long", FrameType::kUnknownKey,
       field(1, Bytes(limits::kIssuerBytesMax + 1, 'i')) + kid},
      {"a kid too long", FrameType::kUnknownKey,
       issuer + field(2, Bytes(limits::kKidBytesMax + 1, 'k'))},
      {"a kid twice", FrameType::kUnknownKey, issuer + kid + kid},
      {"a kid that is no text", FrameType::kUnknownKey, issuer + field(2, "caf\xe9")},
      {"a source without a name", FrameType::kSourceStatus, field(1, status_bytes(""))},
      {"a name too long", FrameType::kSourceStatus,
       field(1, status_bytes(Bytes(limits::kIssuerNameBytesMax + 1, 'n')))},
      {"a source without a state", FrameType::kSourceStatus, field(1, status_bytes("login", {}))},
      {"an unknown state", FrameType::kSourceStatus,
       field(1, status_bytes("login", varint_field(4, 5)))},
      {"a source without an issuer", FrameType::kSourceStatus,
       field(1, status_bytes("login", varint_field(4, 1), {}))},
      {"a source without a ledger", FrameType::kSourceStatus,
       field(1, status_bytes("login", varint_field(4, 1), field(2, "i"), {}))},
      {"a good fetch before 1970", FrameType::kSourceStatus,
       field(1, status_bytes("login", varint_field(4, 1), field(2, "i"), field(3, ledger_bytes()),
                             varint_field(5, UINT64_MAX)))},
      {"a source twice", FrameType::kSourceStatus,
       field(1, status_bytes("a")) + field(1, status_bytes("a"))},
      {"sources out of order", FrameType::kSourceStatus,
       field(1, status_bytes("b")) + field(1, status_bytes("a"))},
      {"too many sources", FrameType::kSourceStatus, statuses(limits::kIssuersMax + 1)},
      {"a question about a name too long", FrameType::kRequest,
       field(27, field(1, Bytes(limits::kIssuerNameBytesMax + 1, 'n')))},
      {"nothing to refresh", FrameType::kRequest, field(28, field(1, ledger_bytes()))},
      {"a refresh in no ledger", FrameType::kRequest, field(28, field(2, "login"))},
      {"a row without a status", FrameType::kResponse, field(28, varint_field(6, 1))},
      {"an attempt before 1970", FrameType::kResponse, row_with(varint_field(2, UINT64_MAX))},
      {"an address too long", FrameType::kResponse,
       row_with(field(9, Bytes(limits::kSourceUrlBytesMax + 1, 'u')))},
      {"too many keys", FrameType::kResponse, row_with(kids(limits::kIssuerKeysMax + 1))},
      {"a key with a kid too long", FrameType::kResponse,
       row_with(kids(1, Bytes(limits::kKidBytesMax + 1, 'k')))},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CAPTURE(decode_text(row.type, row.payload));
    CHECK(decode_code(row.type, row.payload) == ErrorCode::kMessage);
  }
}

TEST_CASE("sources: what is within the limits is accepted") {
  CHECK(decode_text(FrameType::kUnknownKey, field(1, Bytes(limits::kIssuerBytesMax, 'i')) +
                                                field(2, Bytes(limits::kKidBytesMax, 'k'))) ==
        "accepted");
  CHECK(decode_text(FrameType::kSourceStatus, {}) == "accepted");
  CHECK(decode_text(FrameType::kSourceStatus, statuses(limits::kIssuersMax)) == "accepted");
  CHECK(decode_text(FrameType::kRequest, field(27, {})) == "accepted");
  CHECK(decode_text(FrameType::kRequest, field(28, field(1, ledger_bytes()) + field(2, "login"))) ==
        "accepted");
  CHECK(decode_text(FrameType::kResponse, row_with(kids(limits::kIssuerKeysMax, ""))) ==
        "accepted");
}

TEST_CASE("sources: the largest status fits into a frame, and so do a page's first rows") {
  SourceStatus status;
  SourcesPage page;
  for (size_t i = 0; i < limits::kIssuersMax; ++i) {
    SourceRow row = source_row();
    row.status.name = fmt::format("{:064}", i);
    row.status.issuer = Bytes(limits::kIssuerBytesMax, 'i');
    row.message = Bytes(limits::kErrorTextBytesMax, 'm');
    row.jwks_uri = Bytes(limits::kSourceUrlBytesMax, 'u');
    row.kids.assign(limits::kIssuerKeysMax, Bytes(limits::kKidBytesMax, 'k'));
    status.issuers.push_back(row.status);
    page.rows.push_back(std::move(row));
  }
  CHECK(try_encode_frame(status));
  FrameParser parser;
  parser.feed(encode_frame(Response{.request = 1, .what = page}));
  const auto next = parser.next();
  REQUIRE((next && *next));
  const auto& read = std::get<SourcesPage>(std::get<Response>(**next).what);
  // 64 rows of 15 KiB each are just below the largest frame.
  CHECK(read.rows.size() == limits::kIssuersMax);
  CHECK(read.rows.back().kids == page.rows.back().kids);
}

}  // namespace
}  // namespace notp::wire
