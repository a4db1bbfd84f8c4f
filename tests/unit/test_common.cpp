// common: text forms, zstd, signatures, JSON and files.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "common/crypto/signature.hpp"
#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "common/zstd.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace notp;
using namespace std::string_literals;

namespace {

Bytes unhex(std::string_view text) { return from_hex(text).value(); }

PublicKey key_of(std::string_view hex) { return PublicKey::from_bytes(unhex(hex)).value(); }

// S + L, little-endian, with L the order of the base point: satisfies the same equation, but is
// another signature.
Bytes plus_order(Bytes signature) {
  const Bytes order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += static_cast<uint8_t>(signature[32 + i]) + static_cast<uint8_t>(order[i]);
    signature[32 + i] = static_cast<char>(carry);
    carry >>= 8;
  }
  return signature;
}

Bytes noise(size_t size) {
  SeededRandom random(1);
  Bytes out(size, '\0');
  for (char& c : out) c = static_cast<char>(random.next_u64());
  return out;
}

Bytes frame_with(int level, bool checksum, bool content_size, ByteView content) {
  ZSTD_CCtx* const encoder = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(encoder, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(encoder, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  ZSTD_CCtx_setParameter(encoder, ZSTD_c_contentSizeFlag, content_size ? 1 : 0);
  Bytes out(ZSTD_compressBound(content.size()), '\0');
  const size_t size =
      ZSTD_compress2(encoder, out.data(), out.size(), content.data(), content.size());
  ZSTD_freeCCtx(encoder);
  REQUIRE_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

}  // namespace

TEST_CASE("hexadecimal text") {
  CHECK(to_hex("\x00\xff\x10"s) == "00ff10");
  CHECK(from_hex("00FFab") == "\x00\xff\xab"s);
  CHECK(from_hex("") == "");
  for (const auto* bad : {"0", "0g", "g0", " 00", "0x", "00 ", "-1"}) {
    CAPTURE(bad);
    CHECK(from_hex(bad).error().code == ErrorCode::kMessage);
  }
}

TEST_CASE("base64: the vectors of RFC 4648, and one encoding for each value") {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"},
                                                                    {"\xff\xfe\xfd"s, "//79"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(to_base64(bytes) == text);
    CHECK(from_base64(text) == bytes);
  }
  CHECK(from_base64(" Zm9v\r\n\tYmFy\n") == "foobar");
  for (const auto* bad : {"Z", "Zg", "Zg=", "Zg===", "====", "===", "=", "Z===", "Zh==", "Zm9=",
                          "Zg==Zg==", "Z-_9", "Zm9v!", "=Zg=", "Zm=v", "Zg=\xff"}) {
    CAPTURE(bad);
    const auto refused = from_base64(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kMessage);
  }
}

TEST_CASE("varints have one encoding") {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128},
                               uint64_t{16383}, uint64_t{16384}, UINT64_MAX >> 1, UINT64_MAX}) {
    Bytes out;
    put_varint(out, value);
    ByteView view = out;
    CHECK(take_varint(view) == value);
    CHECK(view.empty());
    for (size_t cut = 0; cut < out.size(); ++cut) {
      ByteView part = ByteView(out).substr(0, cut);
      CHECK_FALSE(take_varint(part));
      CHECK(part.size() == cut);
    }
  }
  for (const Bytes& bad :
       {"\x80\x00"s, "\xff\x80\x00"s, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"s, Bytes(11, '\x80')}) {
    ByteView view = bad;
    CHECK(take_varint(view).error().code == ErrorCode::kMessage);
  }
  ByteView rest = "\x05tail";
  CHECK(take_varint(rest) == 5);
  CHECK(rest == "tail");
  CHECK(take_bytes(rest, 2) == "ta");
  CHECK_FALSE(take_bytes(rest, 3));
  CHECK_FALSE(take_bytes(rest, UINT64_MAX));
}

TEST_CASE("UTF-8 is checked as RFC 3629 says, and foreign text shown harmlessly") {
  for (const std::string& good : {""s, "a\0b"s, "\xc2\x80"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s,
                                  "\xee\x80\x80"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s})
    CHECK(is_utf8(good));
  for (const std::string bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                                "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
                                "\xc2", "\xe2\x82", "\xf0\x9f\x98", "\xc2\xc2\x80", "\xe2\x28\xa1"})
    CHECK_FALSE(is_utf8(bad));
  CHECK(printable("a\x1b[31m\n\xff\xc2\x9b\xc3\xa9") == "a\\x1b[31m\\x0a\\xff\\xc2\\x9b\xc3\xa9");
  CHECK(printable("aaaa\xc3\xa9", 5) == "aaaa…");
  CHECK(printable("aaaa\xc3\xa9", 6) == "aaaa\xc3\xa9");
}

TEST_CASE("every error code has a name, a wire number and one meaning") {
  std::set<std::string_view> names;
  for (uint32_t wire = 0; wire < 100; ++wire) {
    const ErrorCode code = error_code_from_wire(wire);
    if (static_cast<uint32_t>(code) != wire) {
      CHECK(code == ErrorCode::kInternal);
      continue;
    }
    CHECK(names.insert(error_traits(code).name).second);
  }
  CHECK(names.contains("invalid_model"));
  CHECK(error_traits(ErrorCode::kConflict).exit == exit_code::kConflict);
  CHECK(error_traits(static_cast<ErrorCode>(60'000)).name == "internal");
}

TEST_CASE("zstd: content comes back, with and without a prefix") {
  const Bytes base = noise(200'000),
              next = base.substr(0, 100'000) + "changed" + base.substr(100'000);
  const Bytes whole = zstd_compress(next, "", {}).value();
  CHECK(zstd_decompress(whole, "", next.size()) == next);
  const Bytes delta = zstd_compress(next, base, {.level = 3, .long_distance = true}).value();
  CHECK(delta.size() < 1'000);
  CHECK(zstd_decompress(delta, base, next.size()) == next);
  CHECK(zstd_decompress(zstd_compress("", "", {}).value(), "", 0) == "");
  const auto wrong_base = zstd_decompress(delta, noise(100'000), next.size());
  CHECK((!wrong_base || *wrong_base != next));
}

namespace {

// A frame read piece by piece.
Result<Bytes> read_in_pieces(ByteView frame, uint64_t content_bytes, size_t piece_bytes) {
  NOTP_ASSIGN(ZstdReader reader, ZstdReader::open(frame, content_bytes, 20));
  Bytes out, piece(piece_bytes, '\0');
  for (;;) {
    NOTP_ASSIGN(const size_t read, reader.read(piece));
    out += ByteView(piece).substr(0, read);
    if (read < piece_bytes) return out;
  }
}

}  // namespace

TEST_CASE("zstd: content comes in pieces of any size, and within a window") {
  const Bytes content = noise(300'000) + Bytes(300'000, 'x') + noise(1000);
  const Bytes narrow = zstd_compress(content, "", {.window_log = 17}).value();
  for (const size_t piece : {1, 7, 4096, 131'072, 600'999, 601'000, 601'001})
    CHECK(read_in_pieces(narrow, content.size(), piece) == content);
  CHECK(read_in_pieces(zstd_compress("", "", {}).value(), 0, 5) == "");
  CHECK(ZstdReader::open(narrow, content.size(), 17));
  CHECK_FALSE(ZstdReader::open(narrow, content.size(), 16));
}

TEST_CASE("zstd: a frame that takes more than allowed is not made") {
  const Bytes content = noise(100'000);
  CHECK(zstd_compress(content, "", {.frame_bytes_max = content.size() - 1}) == "");
  const Bytes text(100'000, 'x');
  const Bytes frame = zstd_compress(text, "", {}).value();
  CHECK(zstd_compress(text, "", {.frame_bytes_max = frame.size()}) == frame);
  CHECK(zstd_compress(text, "", {.frame_bytes_max = 8}) == "");
}

TEST_CASE("hostile zstd frames are refused before they cost memory") {
  const Bytes text = "some content, some content, some content";
  const Bytes good = zstd_compress(text, "", {}).value();
  const Bytes header = "\x28\xb5\x2f\xfd";
  const Bytes skippable = "\x50\x2a\x4d\x18\x04\x00\x00\x00skip"s;
  // Without the single-segment flag: descriptor, window, 4 bytes of content size, one raw block.
  const auto with_window = [&](int log) {
    return header + "\x80"s + static_cast<char>((log - 10) << 3) + "\x04\x00\x00\x00\x21\x00\x00" +
           "abcd";
  };
  REQUIRE(zstd_decompress(with_window(20), "", 4).error().code == ErrorCode::kArtifact);
  const Bytes raw = header +
                    "\x20\x04\x21\x00\x00"
                    "abcd"s;
  REQUIRE(zstd_decompress(raw, "", 4) == "abcd");
  Bytes broken_checksum = frame_with(3, true, true, text);
  REQUIRE(zstd_decompress(broken_checksum, "", text.size()) == text);
  broken_checksum.back() ^= 1;
  const std::vector<std::tuple<std::string, Bytes, uint64_t>> cases = {
      {"empty", "", 0},
      {"not zstd", "hello, this is no frame", 5},
      {"window log 27, 6 bytes", header + "\x00\x88"s, 4},
      {"window log 31, 6 bytes", header + "\x00\xa8"s, 4},
      {"window log 31 with a block", with_window(31), 4},
      {"content size missing", frame_with(3, false, false, text), text.size()},
      {"content size missing, and asked for", frame_with(3, false, false, text), UINT64_MAX},
      {"announces less than asked", good, text.size() + 1},
      {"announces more than asked", good, text.size() - 1},
      {"gives less than announced",
       header + "\x20\x05\x21\x00\x00"
                "abcd"s,
       5},
      {"gives more than announced",
       header + "\x20\x03\x21\x00\x00"
                "abcd"s,
       3},
      {"announces 2^63", header + "\xe0" + "\x00\x00\x00\x00\x00\x00\x00\x80"s + "\x01\x00\x00"s,
       1ULL << 63},
      {"32,000 : 1 over the size expected", frame_with(19, false, true, Bytes(64 << 20, '\0')),
       1000},
      {"two frames", good + good, text.size()},
      {"two frames, sizes added", good + good, 2 * text.size()},
      {"a skippable frame in front", skippable + good, text.size()},
      {"a skippable frame behind", good + skippable, text.size()},
      {"a skippable frame alone", skippable, 0},
      {"other bytes behind", good + "x", text.size()},
      {"a foreign dictionary",
       header + "\x21\x07\x04\x21\x00\x00"
                "abcd"s,
       4},
      {"reserved bit",
       header + "\x28\x04\x21\x00\x00"
                "abcd"s,
       4},
      {"reserved block type",
       header + "\x20\x04\x27\x00\x00"
                "abcd"s,
       4},
      {"checksum broken", broken_checksum, text.size()},
  };
  for (const auto& [name, frame, size] : cases) {
    CAPTURE(name);
    const auto result = zstd_decompress(frame, "", size);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kArtifact);
    const auto in_pieces = read_in_pieces(frame, size, 16);
    REQUIRE_FALSE(in_pieces);
    CHECK(in_pieces.error().code == ErrorCode::kArtifact);
  }
  for (size_t cut = 0; cut < good.size(); ++cut) {
    CHECK_FALSE(zstd_decompress(ByteView(good).substr(0, cut), "", text.size()));
    CHECK_FALSE(read_in_pieces(ByteView(good).substr(0, cut), text.size(), 16));
  }
}

TEST_CASE("Ed25519 agrees with RFC 8032 section 7.1") {
  struct Vector {
    std::string_view seed, key, message, signature;
  };
  constexpr Vector kVectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9b46b"
       "d25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "11d8c"
       "387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
       "dc659"
       "4a7c15e9716ed28dc027beceea1ec40a"}};
  for (const Vector& vector : kVectors) {
    std::array<uint8_t, 32> seed{};
    std::ranges::copy(unhex(vector.seed), seed.begin());
    const PrivateKey key = PrivateKey::from_seed(seed);
    CHECK(to_hex(key.public_key().view()) == vector.key);
    const Bytes message = unhex(vector.message), signature = key.sign(message);
    CHECK(to_hex(signature) == vector.signature);
    CHECK(verify_signature(key.public_key(), message, signature));
    CHECK_FALSE(verify_signature(key.public_key(), message + "x", signature));
    CHECK_FALSE(verify_signature(key.public_key(), message, plus_order(signature)));
    CHECK_FALSE(verify_signature(key.public_key(), message, signature + "x"));
    CHECK_FALSE(verify_signature(key.public_key(), message, signature.substr(1)));
    CHECK_FALSE(verify_signature(key.public_key(), message, ""));
    for (const size_t at : {0, 31, 32, 63}) {
      Bytes flipped = signature;
      flipped[at] ^= 1;
      CHECK_FALSE(verify_signature(key.public_key(), message, flipped));
    }
  }
}

TEST_CASE("keys of small order are refused in every encoding") {
  for (const auto* point : {"0100000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000080",
                            "0000000000000000000000000000000000000000000000000000000000000000",
                            "0000000000000000000000000000000000000000000000000000000000000080",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"}) {
    CAPTURE(point);
    // R the identity and S zero satisfy S·B = R + h·A for the identity as A, whatever the message.
    const Bytes forged =
        unhex("0100000000000000000000000000000000000000000000000000000000000000") + Bytes(32, '\0');
    for (int i = 0; i < 16; ++i)
      CHECK_FALSE(verify_signature(key_of(point), fmt::format("message {}", i), forged));
  }
}

TEST_CASE("keys travel as PEM, and nothing else is taken for one") {
  const PrivateKey key = PrivateKey::generate();
  const PrivateKey again = PrivateKey::from_pem(key.to_pem()).value();
  CHECK(again.public_key() == key.public_key());
  CHECK(PublicKey::from_pem(key.public_key().to_pem()) == key.public_key());
  CHECK(key.public_key().keyid().size() == 16);
  for (const std::string& bad :
       {""s, "garbage"s, key.public_key().to_pem(), "-----BEGIN PRIVATE KEY-----\nAA\n"s})
    CHECK(PrivateKey::from_pem(bad).error().code == ErrorCode::kConfig);
  CHECK(PublicKey::from_pem(key.to_pem()).error().code == ErrorCode::kConfig);
  // A P-256 key: well-formed, but unsupported.
  CHECK_FALSE(
      PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\n"
                          "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5"
                          "RdiYwpZP40Li/hp/m47n60p8D54W"
                          "K84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"));
  CHECK_FALSE(PublicKey::from_bytes(Bytes(31, 'x')));
  CHECK_FALSE(Hash::from_bytes(Bytes(33, 'x')));
}

TEST_CASE("JSON: positions, depth, names and numbers") {
  const auto at = [](std::string_view text) {
    const auto parsed = parse_json(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::kMessage);
    const TextPosition position = position_of(parsed.error());
    return std::pair(position.line, position.column);
  };
  CHECK(parse_json(" {\"a\": [1, -2, 18446744073709551615, 2.5, \"\\u00e9\", null, true]} \n"));
  CHECK(at("").first == 1);
  CHECK(at("{\n  \"a\": 1,\n  \"a\": 2\n}").first == 3);
  CHECK(at("[1,\n2] x") == std::pair(2u, 4u));
  CHECK(at("[1,\n 2,]").first == 2);
  const std::string longest(limits::kJsonDepthMax, '['), closing(limits::kJsonDepthMax, ']');
  CHECK(parse_json(longest + closing));
  CHECK_FALSE(parse_json("[" + longest + closing + "]"));
  CHECK_FALSE(parse_json(std::string(1'000'000, '[')));
  CHECK_FALSE(parse_json(R"({"a":{"b":1,"b":2}})"));
  CHECK_FALSE(parse_json(R"({"a":1,"\u0061":2})"));
  CHECK(parse_json(R"([{"a":1},{"a":2},{"b":{"a":3},"a":4}])"));
  for (const auto* bad : {"18446744073709551616",
                          "-9223372036854775809",
                          "1e309",
                          "-1e400",
                          "01",
                          "+1",
                          ".5",
                          "1.",
                          "NaN",
                          "Infinity",
                          "'a'",
                          "{a:1}",
                          "[1,]",
                          "// c\n1",
                          "\"\\ud800\"",
                          "\"\xff\"",
                          "\"a\nb\"",
                          "\xef\xbb\xbf{}",
                          "tru",
                          "nulll",
                          "\"a",
                          "{\"a\":1 \"b\":2}"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_json(bad));
  }
  CHECK(parse_json("[1e308, 123456789012345678901234567890.5, 1E2]"));
  CHECK(parse_json("[1.5, 1e2, 18446744073709551615]"));
  const auto hostile = parse_json("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}");
  REQUIRE_FALSE(hostile);
  CHECK(hostile.error().message.find('\x1b') == std::string::npos);
}

TEST_CASE("pretty JSON reads back as it was") {
  const auto value = parse_json(R"({"b":[1,{"c":null}],"a":{},"e":[],"s":"x\"\n"})").value();
  CHECK(parse_json(pretty_json(value)) == value);
  CHECK(pretty_json(*parse_json(R"({"a":[1]})")) == "{\n  \"a\": [\n    1\n  ]\n}");
}

TEST_CASE("files are read within limits and replaced whole") {
  namespace fs = std::filesystem;
  const TemporaryFolder temp;
  const fs::path file = temp.path() / "f";
  REQUIRE(write_file(file, "old", 0600));
  CHECK((fs::status(file).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  const Bytes content = noise(300'000);
  // A reader with the old file open keeps the old content: the file is replaced, not rewritten.
  fs::create_hard_link(file, temp.path() / "g");
  REQUIRE(write_file(file, content));
  CHECK(read_file(file, content.size()) == content);
  CHECK(read_file(temp.path() / "g", 10) == "old");
  CHECK(std::distance(fs::directory_iterator(temp.path()), {}) == 2);
  CHECK(read_file(file, content.size() - 1).error().code == ErrorCode::kLimit);
  CHECK(read_file(temp.path() / "none", 10).error().code == ErrorCode::kNotFound);
  CHECK(read_file(temp.path(), 10).error().code == ErrorCode::kIo);
  // Its reported size is 0.
  CHECK(read_file("/proc/self/status", 1 << 20)->size() > 100);
  CHECK(read_file("/dev/zero", 10).error().code == ErrorCode::kIo);
  CHECK_FALSE(write_file(temp.path() / "no" / "folder", "x"));
  CHECK_FALSE(write_file(temp.path(), "x"));
  CHECK(std::distance(fs::directory_iterator(temp.path()), {}) == 2);
  CHECK(make_folders(temp.path() / "a" / "b"));
  CHECK(make_folders(temp.path() / "a" / "b"));
  CHECK_FALSE(make_folders(file / "a"));
}

TEST_CASE("a seed gives one sequence") {
  // SplitMix64 from seed 0, as its reference implementation prints it.
  SeededRandom random(0);
  CHECK(random.next_u64() == 0xe220a8397b1dcdaf);
  CHECK(random.next_u64() == 0x6e789e6aa1b965f4);
  CHECK(random.below(0) == 0);
  CHECK(random.below(1) == 0);
}

TEST_CASE("what is private is its owner's alone, however it was before") {
  TemporaryFolder folder;
  const auto mode_of = [](const std::filesystem::path& path) {
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
  };
  const mode_t before = ::umask(0);
  const auto deep = folder.path() / "a" / "b";
  CHECK(make_private_folder(deep));
  CHECK(mode_of(deep) == 0700);
  REQUIRE(::chmod(deep.c_str(), 0755) == 0);
  CHECK(make_private_folder(deep));
  CHECK(mode_of(deep) == 0700);
  make_private_file(deep / "new");
  CHECK(mode_of(deep / "new") == 0600);
  CHECK(write_file(deep / "old", "x"));
  CHECK(mode_of(deep / "old") == 0644);
  make_private_file(deep / "old");
  CHECK(mode_of(deep / "old") == 0600);
  CHECK(read_file(deep / "old", 10).value() == "x");
  ::umask(0277);
  CHECK(write_file(deep / "secret", "x", 0600));
  CHECK(mode_of(deep / "secret") == 0600);
  ::umask(before);
}

TEST_CASE("a file is written beside itself under a name that nobody can guess") {
  TemporaryFolder folder;
  const auto file = folder.path() / "file";
  // The name used by earlier versions, as a link left by another user.
  const auto other = folder.path() / "other";
  CHECK(write_file(other, "theirs"));
  std::filesystem::create_symlink(other, fmt::format("{}.new.{}", file.string(), ::getpid()));
  CHECK(write_file(file, "mine"));
  CHECK(read_file(file, 10).value() == "mine");
  CHECK(read_file(other, 10).value() == "theirs");
  CHECK_FALSE(std::filesystem::is_symlink(file));
}
