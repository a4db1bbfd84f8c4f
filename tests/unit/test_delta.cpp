#include <doctest/doctest.h>

#include <functional>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/delta/content_layout.hpp"
#include "protocol/delta/section.hpp"
#include "protocol/delta/tree_diff.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace {

using namespace notp;
using delta::BaseIndex;
using delta::Coding;
using delta::SectionKind;
using samples::limits_of;
using samples::model_of;
using samples::side_of;
using samples::Texts;

constexpr std::string_view kOldEnvelope = "the envelope of the base, long enough to refer to";
constexpr std::string_view kNewEnvelope = "the envelope of the target, long enough to refer to";

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  REQUIRE_FALSE(result.has_value());
  CHECK_FALSE(result.error().message.empty());
  return result.error().code;
}

Bytes encode(const model::ModelContent* base, const model::ModelContent& target) {
  delta::ReleaseContent base_side;
  if (base) base_side = side_of(*base, kOldEnvelope);
  auto artifact =
      delta::encode_artifact(base ? &base_side : nullptr, side_of(target, kNewEnvelope));
  REQUIRE(artifact);
  return *artifact;
}

Result<delta::AppliedArtifact> apply(ByteView artifact, const model::ModelContent* base,
                                     const delta::ApplyLimits& limits) {
  delta::ReleaseContent base_side;
  if (base) base_side = side_of(*base, kOldEnvelope);
  return delta::apply_artifact(artifact, base ? &base_side : nullptr, limits);
}

// Encodes, applies, compares, and returns the bytes transferred.
size_t round_trip(const model::ModelContent* base, const model::ModelContent& target) {
  const Bytes artifact = encode(base, target);
  const auto envelope = delta::read_envelope(artifact, base ? ByteView(kOldEnvelope) : ByteView());
  REQUIRE(envelope);
  CHECK(*envelope == kNewEnvelope);
  const auto applied = apply(artifact, base, limits_of(target));
  REQUIRE(applied);
  CHECK(applied->tree->files() == target.tree->files());
  CHECK(applied->tree->content_root() == target.tree->content_root());
  for (const auto& [path, entry] : target.tree->files()) {
    if (base && base->blobs.contains(entry.hash)) continue;
    REQUIRE(applied->new_blobs.contains(entry.hash));
    CHECK(*applied->new_blobs.at(entry.hash) == *target.blobs.at(entry.hash));
  }
  return artifact.size();
}

Texts teams(size_t count) {
  SeededRandom random(1);
  Texts out{{"manifest.json", "{}"}};
  for (size_t i = 0; i < count; ++i)
    out["policies/team" + std::to_string(i / 10) + "/p" + std::to_string(i) + ".rego"] =
        samples::random_text(random, 1200);
  return out;
}

// A hand-made section that the encoder never writes.
Bytes section(int kind, int coding, uint64_t raw_bytes, ByteView coded) {
  Bytes out(1, static_cast<char>(kind | coding << 4));
  put_varint(out, raw_bytes);
  put_varint(out, coded.size());
  return out.append(coded);
}

Bytes raw_section(int kind, ByteView raw) { return section(kind, 0, raw.size(), raw); }

// An artifact of a program and the sections after it.
Bytes artifact_of(ByteView program, ByteView rest = "") {
  return "\x01" + raw_section(1, "envelope") + raw_section(2, program) + Bytes(rest) + "\x05";
}

constexpr delta::ApplyLimits kWide{1 << 20, 100};

// The fixed sections of any artifact: envelope and program.
size_t overhead() {
  const model::ModelContent model = model_of(teams(20));
  return encode(&model, model).size();
}

}  // namespace

TEST_CASE("artifact: full content") {
  Texts texts = teams(30);
  texts["empty.json"] = "";
  texts["data/large/data.json"] = Bytes(300'000, 'x') + "tail";
  const model::ModelContent target = model_of(texts);
  const size_t bytes = round_trip(nullptr, target);
  CHECK(bytes < target.tree->total_bytes() / 2);
}

TEST_CASE("artifact: an empty model, and to and from one") {
  const model::ModelContent none = model_of({}), some = model_of(teams(5));
  round_trip(nullptr, none);
  round_trip(&none, some);
  round_trip(&some, none);
}

TEST_CASE("artifact: nothing changed costs the envelope and nothing else") {
  CHECK(overhead() <= 1 + 3 + kNewEnvelope.size() + 3 + 1);
}

TEST_CASE("artifact: one changed rule costs tens of bytes") {
  Texts texts = teams(200);
  const model::ModelContent before = model_of(texts);
  texts["policies/team7/p77.rego"].insert(600, "_new");
  CHECK(round_trip(&before, model_of(texts)) <= overhead() + 50);
}

TEST_CASE("artifact: the more files are added in one place, the more old ones help") {
  Texts texts = teams(400);
  texts["data/x.json"] = texts["policies/a.txt"] = "of another kind";
  const model::ModelContent base = model_of(texts);
  const BaseIndex index(base.tree.get());
  const auto references = [&](size_t added, size_t elsewhere) {
    delta::Program program;
    for (size_t i = 0; i < added; ++i)
      program.added.push_back({"policies/team20/x" + std::to_string(i) + ".rego", 10});
    for (size_t i = 0; i < elsewhere; ++i)
      program.added.push_back({"policies/team39/z" + std::to_string(i) + ".rego", 10});
    const auto layout = delta::layout_of(program, index);
    REQUIRE(layout.solids.size() == 1);
    return layout.solids.front().references.size();
  };
  CHECK(references(1, 0) == 16);
  CHECK(references(2, 0) == 16);
  CHECK(references(3, 0) == 24);
  CHECK(references(20, 0) == 160);
  CHECK(references(200, 0) == 160);
  CHECK(references(3, 1) == 24 + 8 + 8);
}

TEST_CASE("artifact: a renamed folder costs its names") {
  const Texts texts = teams(200);
  const model::ModelContent before = model_of(texts);
  Texts renamed;
  for (const auto& [path, text] : texts)
    renamed[samples::move_path(path, "policies/team7/", "policies/payments/")] = text;
  CHECK(round_trip(&before, model_of(renamed)) <= overhead() + 30);

  Texts all_moved;
  for (const auto& [path, text] : texts)
    all_moved[samples::move_path(path, "policies/", "rules/")] = text;
  CHECK(round_trip(&before, model_of(all_moved)) <= overhead() + 20);
}

TEST_CASE("artifact: content that the base has costs no bytes") {
  SeededRandom random(3);
  Texts texts = teams(20);
  Bytes noise;  // does not compress
  while (noise.size() < 200'000) noise.push_back(static_cast<char>(random.next_u64()));
  texts["data/a/data.json"] = noise;
  texts["data/b/data.json"] = Bytes(noise.rbegin(), noise.rend());
  const model::ModelContent before = model_of(texts);
  const size_t allowed = overhead() + 60;

  SUBCASE("copied") { texts["data/c/data.json"] = noise; }
  SUBCASE("renamed") {
    texts.erase("data/a/data.json");
    texts["other/name.json"] = noise;
  }
  SUBCASE("swapped") { std::swap(texts["data/a/data.json"], texts["data/b/data.json"]); }
  SUBCASE("in place of another file") {
    texts["data/b/data.json"] = noise;
    texts.erase("data/a/data.json");
  }
  SUBCASE("a folder copied") {
    for (const auto& [path, text] : Texts(texts))
      if (path.starts_with("data/")) texts["copy/" + path] = text;
  }
  SUBCASE("a file in place of a folder") {
    texts.erase("data/a/data.json");
    texts["data/a"] = noise;
  }
  SUBCASE("a folder removed") {
    std::erase_if(texts, [](const auto& file) { return file.first.starts_with("data/"); });
  }
  CHECK(round_trip(&before, model_of(texts)) <= allowed);
}

TEST_CASE("artifact: equal new contents travel once") {
  SeededRandom random(3);
  Bytes noise;
  while (noise.size() < 100'000) noise.push_back(static_cast<char>(random.next_u64()));
  const model::ModelContent before = model_of({{"x.json", "old"}});
  const model::ModelContent after =
      model_of({{"x.json", noise}, {"a/1.json", noise}, {"b/2.json", noise}, {"c", "old"}});
  CHECK(round_trip(&before, after) <= noise.size() + 150);
}

TEST_CASE("artifact: a renamed and edited large file is coded against its old version") {
  SeededRandom random(5);
  Bytes noise;
  while (noise.size() < 500'000) noise.push_back(static_cast<char>(random.next_u64()));
  const model::ModelContent before = model_of({{"data/a/data.json", noise}, {"m", "1"}});
  noise.insert(250'000, "edited");
  CHECK(round_trip(&before, model_of({{"moved/data.json", noise}, {"m", "1"}})) < 1000);
  CHECK(round_trip(&before, model_of({{"data/a/data.json", noise.substr(0, 100)}, {"m", "1"}})) <
        300);
}

// The codings of the BLOB sections.
std::vector<Coding> blob_codings(ByteView artifact) {
  artifact.remove_prefix(1);
  std::vector<Coding> out;
  for (;;) {
    const auto section = delta::take_section(artifact);
    REQUIRE(section);
    if (section->kind == SectionKind::kEnd) return out;
    if (section->kind == SectionKind::kBlob) out.push_back(section->coding);
  }
}

TEST_CASE("artifact: a large content takes the coding that suits it") {
  SeededRandom random(6);
  Bytes noise, text = samples::random_text(random, 2 << 20);
  while (noise.size() < 2 << 20) noise.push_back(static_cast<char>(random.next_u64()));
  const model::ModelContent before = model_of({{"f", text}});
  const auto coding_of = [&](const Bytes& content) {
    const model::ModelContent after = model_of({{"f", content}});
    round_trip(&before, after);
    const auto codings = blob_codings(encode(&before, after));
    REQUIRE(codings.size() == 1);
    return codings.front();
  };
  CHECK(coding_of(noise) == Coding::kRaw);
  CHECK(coding_of(text.substr(0, 1 << 20) + "inserted" + text.substr(1 << 20)) == Coding::kDelta);
  CHECK(coding_of(text.substr(1 << 20) + text.substr(0, 1 << 20)) == Coding::kDelta);
  CHECK(round_trip(&before, model_of({{"f", text + "tail"}})) <= overhead() + 30);
}

TEST_CASE("artifact: more small content than one solid section holds") {
  Texts texts;
  SeededRandom random(9);
  for (int i = 0; i < 200; ++i)
    texts["f" + std::to_string(i)] = samples::random_text(random, limits::kSmallFileBytesMax);
  const model::ModelContent before = model_of(texts);
  REQUIRE(before.tree->total_bytes() > limits::kSolidBytesMax);
  for (auto& [path, text] : texts) text.replace(100, 3, "new");
  const model::ModelContent after = model_of(texts);
  CHECK(round_trip(&before, after) < 40'000);
  round_trip(nullptr, before);
}

TEST_CASE("artifact: the same inputs give the same bytes") {
  SeededRandom random(4);
  Texts texts = samples::random_texts(random, 60);
  const model::ModelContent before = model_of(texts);
  for (int i = 0; i < 20; ++i) samples::random_edit(random, texts);
  CHECK(encode(&before, model_of(texts)) == encode(&before, model_of(texts)));
}

TEST_CASE("artifact id: from both releases, the codec and the effort") {
  const Hash a = sha256("a"), b = sha256("b");
  Bytes covered("notp.artifact.v1\0", 17);
  covered.append(a.view()).append(b.view()).push_back('\x01');
  CHECK(delta::artifact_id(a, b) == sha256(covered));
  CHECK(delta::artifact_id(a, b) != delta::artifact_id(b, a));
  CHECK(delta::artifact_id(Hash{}, b) != delta::artifact_id(a, b));
  CHECK(delta::artifact_id(a, b, 0) == delta::artifact_id(a, b));
  CHECK(delta::artifact_id(a, b, 300) == sha256(covered + "\xac\x02"));
}

TEST_CASE("artifact: only contents that are needed are loaded") {
  Texts texts = teams(50);
  const model::ModelContent before = model_of(texts);
  texts["policies/team1/p11.rego"] += "x";
  const model::ModelContent after = model_of(texts);
  size_t loads = 0;
  const auto counting = [&](const model::ModelContent& model) {
    delta::ReleaseContent out = side_of(model, kOldEnvelope);
    out.load = [&loads, load = out.load](const Hash& hash) {
      ++loads;
      return load(hash);
    };
    return out;
  };
  const delta::ReleaseContent base = counting(before);
  const auto artifact = delta::encode_artifact(&base, counting(after));
  REQUIRE(artifact);
  CHECK(loads == 2);
  REQUIRE(delta::apply_artifact(*artifact, &base, limits_of(after)));
  CHECK(loads == 3);
}

TEST_CASE("artifact: errors of the loaders pass through, a wrong size is corruption") {
  Texts texts = teams(10);
  const model::ModelContent before = model_of(texts);
  texts["policies/team0/p1.rego"] += "x";
  const model::ModelContent after = model_of(texts);
  const Bytes artifact = encode(&before, after);
  delta::ReleaseContent base = side_of(before, kOldEnvelope);
  base.load = [](const Hash&) -> Result<model::Content> {
    return fail(ErrorCode::kNotFound, "gone");
  };
  CHECK(code_of(delta::apply_artifact(artifact, &base, limits_of(after))) == ErrorCode::kNotFound);
  CHECK(code_of(delta::encode_artifact(&base, side_of(after))) == ErrorCode::kNotFound);
  base.load = [](const Hash&) -> Result<model::Content> {
    return std::make_shared<const Bytes>("short");
  };
  CHECK(code_of(delta::apply_artifact(artifact, &base, limits_of(after))) == ErrorCode::kCorrupt);
}

TEST_CASE("artifact: signed sizes limit the outcome, to the byte and the file") {
  Texts texts = teams(30);
  const model::ModelContent before = model_of(texts);
  texts["policies/team9/new.rego"] = "package new";
  const model::ModelContent after = model_of(texts);
  for (const model::ModelContent* base :
       {static_cast<const model::ModelContent*>(nullptr), &before}) {
    const Bytes artifact = encode(base, after);
    const delta::ApplyLimits exact = limits_of(after);
    CHECK(apply(artifact, base, exact));
    CHECK(code_of(apply(artifact, base, {exact.total_bytes - 1, exact.file_count})) ==
          ErrorCode::kArtifact);
    CHECK(code_of(apply(artifact, base, {exact.total_bytes, exact.file_count - 1})) ==
          ErrorCode::kArtifact);
  }
}

TEST_CASE("artifact: without its base, or with another one") {
  Texts texts = teams(30);
  const model::ModelContent before = model_of(texts);
  texts["policies/team1/p11.rego"].insert(500, "changed");
  const model::ModelContent after = model_of(texts);
  const Bytes artifact = encode(&before, after);
  CHECK(code_of(apply(artifact, nullptr, limits_of(after))) == ErrorCode::kArtifact);
  texts.erase("policies/team0/p0.rego");
  const model::ModelContent other = model_of(texts);
  const auto applied = apply(artifact, &other, {1 << 20, 1000});
  if (applied) CHECK(applied->tree->content_root() != after.tree->content_root());
  CHECK(code_of(delta::read_envelope("\x01" + section(1, 2, 40, Bytes(9, 'z')), {})) ==
        ErrorCode::kArtifact);
}

TEST_CASE("read_envelope: needs the front only") {
  const model::ModelContent model = model_of(teams(3));
  const Bytes artifact = encode(nullptr, model);
  const size_t end = 1 + 3 + kNewEnvelope.size();
  for (size_t bytes = 0; bytes < end; ++bytes) {
    const auto early = delta::read_envelope(artifact.substr(0, bytes), {});
    CHECK(code_of(early) == ErrorCode::kArtifact);
    CHECK(early.error().message.find("cut short") != std::string::npos);
  }
  CHECK(delta::read_envelope(artifact.substr(0, end), {}).value() == kNewEnvelope);
  CHECK(code_of(delta::read_envelope("\x01" + section(1, 0, limits::kEnvelopeBytesMax + 1, ""),
                                     {})) == ErrorCode::kArtifact);
}

TEST_CASE("artifact: containers that are refused") {
  const model::ModelContent base = model_of({{"a", "old a"}, {"b", "old b"}});
  const Bytes envelope = raw_section(1, "envelope"), program = raw_section(2, "");
  const Bytes added = Bytes("\x02\x01\x00\x00\x01x\x03", 7);  // adds "x" of 3 bytes
  const Bytes big_frame = *zstd_compress(Bytes(32'000 * 30, '\0'), {}, {});
  REQUIRE(apply(artifact_of(""), &base, kWide));
  REQUIRE(apply(artifact_of(added, raw_section(3, "new")), &base, kWide));
  const std::pair<const char*, Bytes> cases[] = {
      {"no bytes", ""},
      {"only a version", "\x01"},
      {"version 0", Bytes(1, '\0') + artifact_of("").substr(1)},
      {"version 2", "\x02" + artifact_of("").substr(1)},
      {"no END", "\x01" + envelope + program},
      {"bytes after END", artifact_of("") + "x"},
      {"END twice", artifact_of("") + "\x05"},
      {"END with a coding", "\x01" + envelope + program + "\x15"},
      {"no envelope", "\x01" + program + "\x05"},
      {"two envelopes", "\x01" + envelope + envelope + program + "\x05"},
      {"no program", "\x01" + envelope + "\x05"},
      {"two programs", "\x01" + envelope + program + program + "\x05"},
      {"program before envelope", "\x01" + program + envelope + "\x05"},
      {"kind 0", artifact_of("", raw_section(0, ""))},
      {"an unknown kind", artifact_of("", raw_section(6, ""))},
      {"an unknown coding", artifact_of("", section(4, 4, 5, "x"))},
      {"a delta that is no blob", artifact_of("", section(3, 3, 5, "x"))},
      {"an envelope that is a delta", "\x01" + section(1, 3, 40, "\x08") + program + "\x05"},
      {"a section that nobody asked for", artifact_of("", raw_section(3, "new"))},
      {"a blob that nobody asked for", artifact_of("", raw_section(4, "new"))},
      {"content missing", artifact_of(added)},
      {"content too short", artifact_of(added, raw_section(3, "ne"))},
      {"content too long", artifact_of(added, raw_section(3, "new!"))},
      {"small content as a blob", artifact_of(added, raw_section(4, "new"))},
      {"content twice", artifact_of(added, raw_section(3, "new") + raw_section(3, "new"))},
      {"solid after blob", artifact_of(added, raw_section(4, "") + raw_section(3, "new"))},
      {"coded bytes that are more than raw", artifact_of(added, section(3, 1, 3, "abcd"))},
      {"raw bytes of another length", artifact_of(added, section(3, 0, 3, "ab"))},
      {"zstd that is none", artifact_of(added, section(3, 1, 3, "ab"))},
      {"zstd of another size", artifact_of(added, section(3, 1, 3, big_frame.substr(0, 2)))},
      {"a reference that is not there",
       "\x01" + envelope + section(2, 2, 40, big_frame.substr(0, 30)) + "\x05"},
      {"a length longer than needed", "\x01" + Bytes("\x01\x81\x00\x01x", 5) + program + "\x05"},
      {"a length over 64 bits", "\x01\x01" + Bytes(10, '\xff') + "\x01"},
      {"a program over its limit",
       "\x01" + envelope + section(2, 1, limits::kPathProgramBytesMax + 1, "x") + "\x05"},
      {"solid content over its limit",
       artifact_of("", section(3, 1, limits::kSolidBytesMax + 1, "x"))},
      {"a blob over its limit", artifact_of("", section(4, 1, limits::kBlobBytesMax + 1, "x"))},
      {"2^64-1 coded bytes", "\x01\x01\x01" + Bytes(9, '\xff') + "\x01"},
  };
  for (const auto& [what, bytes] : cases) {
    CAPTURE(what);
    CHECK(code_of(apply(bytes, &base, kWide)) == ErrorCode::kArtifact);
  }
}

TEST_CASE("artifact: zstd frames that are refused") {
  const Bytes text = Bytes(40'000, 'a');
  const Bytes frame = *zstd_compress(text, {}, {});
  Bytes program("\x02\x01\x00\x00\x01x", 6);  // adds "x"
  put_varint(program, text.size());
  const auto with = [&](ByteView coded) {
    return apply(artifact_of(program, section(3, 1, text.size(), coded)), nullptr, kWide);
  };
  REQUIRE(with(frame));
  const Bytes bomb = *zstd_compress(Bytes(32'000 * 40, '\0'), {}, {});
  Bytes damaged = frame, window = frame;
  damaged[damaged.size() - 3] = static_cast<char>(damaged[damaged.size() - 3] ^ 0x55);
  // No content size, a window of 2^31 bytes: six bytes that make a decoder request memory.
  window = Bytes("\x28\xb5\x2f\xfd\x00\xa8", 6) + Bytes("\x01\x00\x00", 3);
  const std::pair<const char*, Bytes> cases[] = {
      {"no bytes", ""},
      {"a bomb that says its size", bomb},
      {"two frames", frame + frame},
      {"a skippable frame in front", Bytes("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8) + frame},
      {"a skippable frame behind", frame + Bytes("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8)},
      {"cut short", frame.substr(0, frame.size() - 1)},
      {"a window of 2^31 bytes and no content size", window},
      {"another size", *zstd_compress(text + "a", {}, {})},
  };
  for (const auto& [what, coded] : cases) {
    CAPTURE(what);
    CHECK(code_of(with(coded)) == ErrorCode::kArtifact);
  }
  if (const auto applied = with(damaged))
    CHECK(applied->tree->content_root() != model_of({{"x", text}}).tree->content_root());
}

TEST_CASE("path program: what is refused") {
  // Files 0 "a", 1 "d/b", 2 "d/c"; folders 0 "", 1 "d".
  const model::ModelContent base = model_of({{"a", "old a"}, {"d/b", "old b"}, {"d/c", "old c"}});
  const auto bytes = [](std::initializer_list<int> values) {
    Bytes out;
    for (const int value : values) out.push_back(static_cast<char>(value));
    return out;
  };
  const auto run = [&](const Bytes& program) { return apply(artifact_of(program), &base, kWide); };
  // A mask above 127 takes two bytes.
  REQUIRE(run(bytes({0x20, 1, 0, 0, 0, 1, 'x'})));     // file 0 moves to "x"
  REQUIRE(run(bytes({0x08, 1, 1, 0, 0, 1, 'x'})));     // folder "d" moves to "x"
  REQUIRE(run(bytes({0x80, 1, 1, 1, 0, 0, 1, 'x'})));  // folder "d" is copied to "x"
  const std::pair<const char*, Bytes> cases[] = {
      {"an empty mask", bytes({0})},
      {"an unknown group", bytes({0x80, 0x08, 1})},
      {"an empty group", bytes({4, 0})},
      {"cut short", bytes({4})},
      {"more entries than bytes", bytes({4, 100, 0})},
      {"bytes after its end", bytes({4, 1, 0, 0})},
      {"a file that is not there", bytes({4, 1, 3})},
      {"a folder that is not there", bytes({0x10, 1, 2})},
      {"removed twice", bytes({4, 2, 0, 0})},
      {"moved twice", bytes({0x20, 2, 0, 0, 0, 1, 'x', 0, 0, 0, 1, 'y'})},
      {"a path that is taken", bytes({0x40, 1, 0, 0, 0, 3, 'd', '/', 'b'})},
      {"one path written twice", bytes({0x40, 2, 0, 0, 0, 1, 'x', 0, 0, 1, 0})},
      {"shares more than there is", bytes({0x40, 1, 0, 0, 1, 1, 'x'})},
      {"shares with a file that is not there", bytes({0x40, 1, 0, 4, 0, 1, 'x'})},
      {"a suffix that is cut short", bytes({0x40, 1, 0, 0, 0, 9, 'x'})},
      {"no path", bytes({0x40, 1, 0, 0, 0, 0})},
      {"an absolute path", bytes({0x40, 1, 0, 0, 0, 2, '/', 'x'})},
      {"a path that climbs", bytes({0x40, 1, 0, 0, 0, 4, '.', '.', '/', 'x'})},
      {"a path into .GIT", bytes({0x40, 1, 0, 0, 0, 6, '.', 'G', 'I', 'T', '/', 'x'})},
      {"a path with NUL", bytes({0x40, 1, 0, 0, 0, 2, 'x', 0})},
      {"a case twin", bytes({0x40, 1, 0, 0, 0, 1, 'A'})},
      {"a file below a file", bytes({0x40, 1, 0, 0, 0, 3, 'a', '/', 'x'})},
      {"a size below zero", bytes({1, 1, 0, 11})},
      {"a size over the limit", bytes({2, 1, 0, 0, 1, 'x', 0x81, 0x80, 0x80, 0x80, 0x01})},
      {"a new content that is not there", bytes({0x80, 0x04, 1, 0, 0, 0, 1, 'x'})},
  };
  for (const auto& [what, program] : cases) {
    CAPTURE(what);
    CHECK(code_of(run(program)) == ErrorCode::kArtifact);
  }
  CHECK(code_of(apply(artifact_of(bytes({4, 1, 0})), nullptr, kWide)) == ErrorCode::kArtifact);
  // Modifies file 0 and removes it.
  CHECK(code_of(apply(artifact_of(bytes({5, 1, 0, 0, 1, 0}), raw_section(3, "old a")), &base,
                      kWide)) == ErrorCode::kArtifact);
}

TEST_CASE("path program: copies of copies cannot outgrow the signed counts") {
  Texts texts;
  for (int i = 0; i < 90; ++i) texts["d/" + std::to_string(i)] = "x";
  const model::ModelContent base = model_of(texts);
  delta::Program program;
  for (int i = 0; i < 90; ++i) program.copied_folders.push_back({1, "c" + std::to_string(i)});
  const BaseIndex index(base.tree.get());
  const Bytes bytes = delta::encode_program(program, index);
  CHECK(bytes.size() < 1000);
  CHECK(code_of(apply(artifact_of(bytes), &base, {1 << 20, 1000})) == ErrorCode::kArtifact);
  CHECK(code_of(apply(artifact_of(bytes), &base, {100, 100'000})) == ErrorCode::kArtifact);
  CHECK(apply(artifact_of(bytes), &base, {1 << 20, 91 * 90}));
}

TEST_CASE("path program: parsing gives back what was encoded") {
  const model::ModelContent base = model_of(teams(40));
  const BaseIndex index(base.tree.get());
  delta::Program program;
  program.modified = {{0, 7}, {5, limits::kBlobBytesMax}, {39, 0}};
  program.added = {{"policies/team1/p10b.rego", 100}, {"zzz", 0}};
  program.removed_files = {1, 3};
  program.removed_folders = {2};
  program.moved_folders = {{3, "somewhere/else"}};
  program.moved_files = {{2, "x/y"}};
  program.copied_files = {{2, "x/z"}, {2, "x/zz"}};
  program.copied_folders = {{1, "copy"}, {1, "copy2"}};
  program.added_like = {{4, "policies/team0/like.rego", 1}};
  program.same = {{0, "same"}, {5, "twin"}};
  const Bytes bytes = delta::encode_program(program, index);
  const auto parsed = delta::parse_program(bytes, index, 100);
  REQUIRE(parsed);
  CHECK(delta::encode_program(*parsed, index) == bytes);
  CHECK(parsed->modified[1].bytes == limits::kBlobBytesMax);
  CHECK(parsed->added[0].path == "policies/team1/p10b.rego");
  CHECK(parsed->same[1].content == 5);
  CHECK_FALSE(delta::parse_program(bytes, index, 12));
}

// Every byte flipped in several ways, and every truncation: an error, or a model within the limits
// whose root shows whether it is the right one.
TEST_CASE("artifact: mutations never pass the limits") {
  SeededRandom random(11);
  Texts texts = teams(5);
  const Bytes record = samples::random_text(random, 700);
  for (int i = 0; i < 100; ++i) texts["data/big/data.json"] += record;
  const model::ModelContent before = model_of(texts);
  texts["policies/team0/p1.rego"].insert(100, "changed");
  texts["data/big/data.json"].replace(30'000, 5, "other");
  texts["policies/team1/added.rego"] = "package added";
  texts["policies/copy.rego"] = texts["policies/team0/p2.rego"];
  texts.erase("policies/team0/p3.rego");
  const model::ModelContent after = model_of(texts);
  const delta::ApplyLimits limits = limits_of(after);
  const auto check = [&](const Bytes& artifact, const model::ModelContent* base) {
    static_cast<void>(delta::read_envelope(artifact, kOldEnvelope));
    const auto applied = apply(artifact, base, limits);
    if (!applied) {
      CHECK(applied.error().code == ErrorCode::kArtifact);
      return;
    }
    CHECK(applied->tree->total_bytes() <= limits.total_bytes);
    CHECK(applied->tree->files().size() <= limits.file_count);
  };
  for (const model::ModelContent* base :
       {static_cast<const model::ModelContent*>(nullptr), &before}) {
    const Bytes good = encode(base, after);
    for (size_t i = 0; i < good.size(); ++i) {
      CHECK_FALSE(apply(good.substr(0, i), base, limits));
      for (const int mask : {0x01, 0x80, 0xff}) {
        Bytes changed = good;
        changed[i] = static_cast<char>(changed[i] ^ mask);
        check(changed, base);
      }
    }
  }
}
