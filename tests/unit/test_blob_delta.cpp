#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/blob_delta.hpp"
#include "protocol/delta/blob_match.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace {

using namespace notp;
using delta::decode_blob_delta;
using delta::encode_blob_delta;

// Encodes, decodes, compares, and returns the coded bytes.
Bytes round_trip(ByteView base, ByteView target) {
  const auto coded = encode_blob_delta(base, target, 6);
  REQUIRE(coded);
  const auto decoded = decode_blob_delta(*coded, base, target.size());
  REQUIRE(decoded);
  CHECK((*decoded == target));
  return *coded;
}

Bytes noise_of(uint64_t seed, size_t bytes) {
  SeededRandom random(seed);
  Bytes out;
  while (out.size() < bytes) out.push_back(static_cast<char>(random.next_u64()));
  return out;
}

// A hand-made delta that the encoder never writes.
struct Delta {
  uint64_t front = 0, end = 0;
  std::vector<uint64_t> lengths, gaps, offsets;
  Bytes literals;

  static Bytes numbers(const std::vector<uint64_t>& values) {
    Bytes out;
    for (const uint64_t value : values) put_varint(out, value);
    return out;
  }
  static Bytes stream(ByteView raw) {
    Bytes out;
    put_varint(out, raw.size() * 2);
    return out.append(raw);
  }
  Bytes bytes() const {
    return numbers({front, end}) + stream(numbers(lengths)) + stream(numbers(gaps)) +
           stream(numbers(offsets)) + stream(literals);
  }
};

constexpr ByteView kBase = "0123456789abcdefghij";

void check_refused(ByteView coded, uint64_t target_bytes, ByteView base = kBase) {
  const auto decoded = decode_blob_delta(coded, base, target_bytes);
  REQUIRE_FALSE(decoded.has_value());
  CHECK(decoded.error().code == ErrorCode::kArtifact);
}

}  // namespace

TEST_CASE("blob delta: contents without a middle") {
  CHECK(round_trip("", "").size() == 2);
  CHECK(round_trip("same", "same").size() == 2);
  CHECK(round_trip("front and end", "front").size() == 2);
  CHECK(round_trip("front and end", "end").size() == 2);
  CHECK(round_trip("aaaaaaa", "aaa").size() == 2);
  round_trip("aaa", "aaaaaaa");
  round_trip("", "new");
  CHECK(round_trip("old", "").size() == 2);
}

TEST_CASE("blob delta: one edit costs itself and a few bytes, wherever it is") {
  const Bytes base = noise_of(1, 300'000);
  for (const size_t at : {size_t{0}, size_t{1}, size_t{150'001}, base.size() - 10, base.size()}) {
    CAPTURE(at);
    Bytes inserted = base, erased = base, replaced = base;
    inserted.insert(at, "ten bytes!");
    erased.erase(at, 10);
    if (at + 10 <= base.size()) replaced.replace(at, 10, "ten bytes!");
    CHECK(round_trip(base, inserted).size() <= 10 + 12);
    CHECK(round_trip(base, erased).size() <= 12);
    CHECK(round_trip(base, replaced).size() <= 10 + 12);
  }
}

TEST_CASE("blob delta: contents that share nothing") {
  const Bytes noise = noise_of(1, 100'000), other = noise_of(2, 90'000);
  CHECK(round_trip(noise, other).size() <= other.size() + 16);
  round_trip(Bytes(70'000, 'x'), Bytes(70'000, 'y'));
}

TEST_CASE("blob delta: what moved is found again") {
  const Bytes a = noise_of(1, 40'000), b = noise_of(2, 50'000), c = noise_of(3, 60'000);
  CHECK(round_trip(a + b + c, b + c + a).size() < 60);
  CHECK(round_trip(a + b + c, c + b + a).size() < 60);
  CHECK(round_trip(a, a + a + a).size() < 60);
  CHECK(round_trip(a + b + c, a + "1" + c + "2" + b).size() < 60);
  // No block starts at a block boundary of the old content.
  CHECK(round_trip(a + b, "x" + b + "yz" + a + "!").size() < 70);
}

TEST_CASE("blob delta: contents of one block over and over") {
  const Bytes block = "0123456789abcdef";
  Bytes base, target;
  for (int i = 0; i < 20'000; ++i) base += block;
  for (int i = 0; i < 30'000; ++i) target += i % 1000 ? block : "changed";
  CHECK(round_trip(base, target).size() < 500);
  round_trip(Bytes(300'000, '\0'), Bytes(200'000, '\0') + "1" + Bytes(200'000, '\0'));
}

TEST_CASE("blob delta: a field of every record changed") {
  SeededRandom random(8);
  Bytes base, target;
  for (int i = 0; i < 3000; ++i) {
    const Bytes record = samples::random_text(random, 150 + random.below(60));
    base += record + std::to_string(1'000'000 + random.below(1'000'000));
    target += record + std::to_string(1'000'000 + random.below(1'000'000));
  }
  CHECK(round_trip(base, target).size() < 3000 * 5);
}

TEST_CASE("blob delta: literals are compressed against what stands next to them") {
  SeededRandom random(9);
  const Bytes base = samples::random_text(random, 200'000);
  Bytes target = base;
  target.insert(100'000, noise_of(4, 1000) + base.substr(99'000, 900));
  target.insert(50'000, noise_of(5, 1000));
  CHECK(round_trip(base, target).size() < 2150);
}

TEST_CASE("blob delta: common bytes at both ends, of all short lengths") {
  for (size_t a = 0; a < 40; ++a) {
    for (size_t b = 0; b < 40; ++b) {
      const Bytes base = Bytes(a, 'x') + "1" + Bytes(b, 'y'), target = Bytes(b, 'x') + "1";
      CHECK(delta::common_prefix(base, target) == (a == b ? a + 1 : std::min(a, b)));
      CHECK(delta::common_suffix(base, base) == base.size());
      CHECK(delta::common_suffix(base, Bytes(3, 'x') + Bytes(b, 'y')) == b);
      round_trip(base, target);
    }
  }
  const Bytes long_one = noise_of(1, 20'000);
  for (size_t at = 4090; at < 4100; ++at) {
    Bytes other = long_one;
    other[at] = static_cast<char>(other[at] ^ 1);
    CHECK(delta::common_prefix(long_one, other) == at);
    CHECK(delta::common_suffix(long_one, other) == long_one.size() - at - 1);
  }
}

TEST_CASE("blob delta: the layout, by hand") {
  const Delta in_place{3, 2, {3}, {4}, {0}, "+-+-"};
  CHECK(to_hex(in_place.bytes()) == "0302020302040200082b2d2b2d");
  CHECK(decode_blob_delta(in_place.bytes(), kBase, 20).value() == "012+-+-789abcdefghij");
  const Delta inserted{3, 2, {7}, {4}, {1}, "+-+-"};
  CHECK(decode_blob_delta(inserted.bytes(), kBase, 24).value() == "012+-+-3456789abcdefghij");
  // From offset 3 + 4 - 7, then from where that ended: 8 + 1 + 3.
  const Delta distances{3, 2, {0, 0}, {4, 1}, {2 + 13, 2 + 6}, "+-+-!tail"};
  CHECK(decode_blob_delta(distances.bytes(), kBase, 30).value() ==
        "012+-+-01234567!cdefghijtailij");
  CHECK(decode_blob_delta(Bytes("\x0a\x0a"), kBase, 20).value() == kBase);
  CHECK(decode_blob_delta(Bytes("\x00\x00", 2), kBase, 0).value().empty());
}

TEST_CASE("blob delta: what is refused") {
  const Delta good{3, 2, {3}, {4}, {0}, "+-+-"};
  const auto with = [&](auto&& change) {
    Delta out = good;
    change(out);
    return out.bytes();
  };
  REQUIRE(decode_blob_delta(good.bytes(), kBase, 20));
  constexpr uint64_t kHuge = ~uint64_t{0};
  const std::pair<const char*, Bytes> cases[] = {
      {"no bytes", ""},
      {"front alone", "\x03"},
      {"streams missing", "\x03\x02"},
      {"other bytes behind", good.bytes() + "x"},
      {"other bytes behind no middle", Bytes("\x0a\x0a") + "x"},
      {"a front that is longer than all", with([](Delta& d) { d.front = 21; })},
      {"a front of 2^64-1", with([](Delta& d) { d.front = kHuge; })},
      {"an end of 2^64-1", with([](Delta& d) { d.end = kHuge; })},
      {"front and end that overlap", with([](Delta& d) { d.front = 11, d.end = 10; })},
      {"a longer middle", with([](Delta& d) { d.front = 2; })},
      {"a shorter middle", with([](Delta& d) { d.front = 4; })},
      {"a copy that makes too much", with([](Delta& d) { d.lengths = {4}; })},
      {"a copy of 2^64-1", with([](Delta& d) { d.lengths = {kHuge}; })},
      {"a copy of 2^64-8", with([](Delta& d) { d.lengths = {kHuge - 7}; })},
      {"a gap that makes too much", with([](Delta& d) { d.gaps = {16}; })},
      {"a gap that leaves no room", with([](Delta& d) { d.gaps = {8}; })},
      {"a gap of 2^64-1", with([](Delta& d) { d.gaps = {kHuge}; })},
      {"a copy from in front of the base", with([](Delta& d) { d.offsets = {2 + 15}; })},
      {"a copy past the end of the base", with([](Delta& d) { d.offsets = {2 + 6}; })},
      {"a distance of 2^64-3", with([](Delta& d) { d.offsets = {kHuge}; })},
      {"a distance of -2^63", with([](Delta& d) { d.offsets = {kHuge - 1}; })},
      {"fewer gaps", with([](Delta& d) { d.gaps = {}; })},
      {"more gaps", with([](Delta& d) { d.gaps = {4, 0}; })},
      {"fewer offsets", with([](Delta& d) { d.offsets = {}; })},
      {"more offsets", with([](Delta& d) { d.offsets = {0, 0}; })},
      {"fewer literals", with([](Delta& d) { d.literals = "+-+"; })},
      {"more literals", with([](Delta& d) { d.literals = "+-+-+"; })},
      {"a stream longer than the middle", with([](Delta& d) { d.literals = Bytes(16, 'x'); })},
      {"a number longer than needed", Bytes("\x83\x00", 2) + good.bytes().substr(1)},
      {"a stream of 2^63 bytes", Bytes("\x03\x02") + Bytes(9, '\xfe') + "\x01"},
      {"a compressed stream that grew", Bytes("\x03\x02\x03\x01x")},
      {"a compressed stream that is no frame", Bytes("\x03\x02\x05\x01x") + good.bytes().substr(4)},
  };
  for (const auto& [what, coded] : cases) {
    CAPTURE(what);
    check_refused(coded, 20);
  }
  check_refused(good.bytes(), 19);
  check_refused(good.bytes(), 21);
  check_refused(good.bytes(), 20, kBase.substr(0, 13));
  check_refused(good.bytes(), 20, "");
}

TEST_CASE("blob delta: a compressed stream that announces another size is refused") {
  const Bytes raw(100, 'x');
  const Bytes frame = *zstd_compress(raw, {}, {});
  const auto with = [](uint64_t announced, ByteView coded) {
    Bytes out = Delta::numbers({0, 0}) + Delta::stream("") + Delta::stream("") + Delta::stream("");
    put_varint(out, announced * 2 + 1);
    put_varint(out, coded.size());
    return out.append(coded);
  };
  REQUIRE(decode_blob_delta(with(100, frame), "", 100).value() == raw);
  check_refused(with(99, frame), 99, "");
  check_refused(with(101, frame), 101, "");
  check_refused(with(100, frame + frame), 100, "");
  check_refused(with(100, *zstd_compress(Bytes(1 << 20, 'x'), {}, {})), 100, "");
}

TEST_CASE("blob delta: numbers in a wider window than allowed are refused") {
  const size_t copies = 300'000;  // more bytes than the window
  SeededRandom random(6);
  Bytes lengths, gaps, offsets;
  uint64_t target_bytes = 0;
  for (size_t i = 0; i < copies; ++i) {
    const uint64_t more = random.below(4);
    target_bytes += more + delta::kCopyBytesMin;
    put_varint(lengths, more);
    put_varint(gaps, 0);
    put_varint(offsets, 0);
  }
  const Bytes base = noise_of(7, target_bytes);
  const auto with_window = [&](int window_log) {
    Bytes out(2, '\0');
    for (const Bytes* numbers : {&lengths, &gaps, &offsets}) {
      const Bytes frame = *zstd_compress(*numbers, {}, {.level = 1, .window_log = window_log});
      put_varint(out, numbers->size() * 2 + 1);
      put_varint(out, frame.size());
      out += frame;
    }
    return out + Delta::stream("");
  };
  CHECK(decode_blob_delta(with_window(limits::kDeltaWindowLogMax), base, base.size()).value() ==
        base);
  check_refused(with_window(limits::kDeltaWindowLogMax + 1), base.size(), base);
}

// Every truncation is refused; every changed byte is refused or gives as many bytes as announced.
TEST_CASE("blob delta: mutations") {
  SeededRandom random(3);
  const Bytes base = samples::random_text(random, 30'000);
  Bytes target = base;
  for (size_t at = 100; at + 400 < target.size(); at += 150 + random.below(200))
    target.replace(at, random.below(30), samples::random_text(random, random.below(40)));
  target = target.substr(20'000) + target.substr(0, 20'000);
  const Bytes good = round_trip(base, target);
  REQUIRE(good.size() > 300);
  for (size_t i = 0; i < good.size(); ++i) {
    CHECK_FALSE(decode_blob_delta(ByteView(good).substr(0, i), base, target.size()));
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = good;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      const auto decoded = decode_blob_delta(changed, base, target.size());
      if (decoded)
        CHECK(decoded->size() == target.size());
      else
        CHECK(decoded.error().code == ErrorCode::kArtifact);
    }
  }
  for (const size_t bytes : {size_t{0}, size_t{100}, base.size() - 1}) {
    const auto decoded = decode_blob_delta(good, ByteView(base).substr(0, bytes), target.size());
    if (decoded) CHECK(decoded->size() == target.size());
  }
}
