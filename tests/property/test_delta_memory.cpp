// Counts the heap that an artifact needs: 64 MB hold the old document of 20 MB, the new one, the
// artifact, and everything needed to apply it, for any untrusted artifact.
#include <doctest/doctest.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/delta/zigzag.hpp"
#include "tests/property/delta_heap_meter.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace {

using namespace notp;

constexpr size_t kDocumentBytes = 20'000'000;
constexpr size_t kPeakBytesMax = 64'000'000;
constexpr const char* kPath = "data/users/data.json";

std::string timestamp(Random& random) {
  return std::to_string(1'700'000'000 + random.below(1 << 26));
}

// Records of some 170 bytes; with `change`, every `nth` has new timestamps.
Bytes document(size_t bytes, size_t nth = 1, uint64_t change = 0) {
  SeededRandom random(5), changed(change);
  Bytes out = "{\"users\":[";
  out.reserve(bytes + 400);
  for (size_t record = 0; out.size() < bytes; ++record) {
    out += "{\"id\":" + std::to_string(random.next_u64());
    out +=
        ",\"department\":\"d" + std::to_string(random.below(60)) + "\",\"roles\":[\"reader\",\"r";
    out +=
        std::to_string(random.below(300)) + "\"],\"clearance\":" + std::to_string(random.below(6));
    std::string created = timestamp(random), seen = timestamp(random);
    if (change != 0 && record % nth == 0) seen = timestamp(changed);
    out += ",\"created\":" + created + ",\"last_seen\":" + seen + ",\"active\":true},\n";
  }
  return out;
}

Bytes noise(size_t bytes) {
  SeededRandom random(6);
  Bytes out;
  out.reserve(bytes + 8);
  while (out.size() < bytes) {
    const uint64_t word = random.next_u64();
    out.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  out.resize(bytes);
  return out;
}

Bytes reversed_by(size_t block, const Bytes& document) {
  Bytes out;
  out.reserve(document.size());
  for (size_t end = document.size(); end > 0; end -= std::min(end, block))
    out.append(document, end - std::min(end, block), std::min(end, block));
  return out;
}

model::ModelContent model_with(Bytes document) {
  model::ModelContent out;
  const Hash hash = model::blob_hash(document);
  model::Files files{{kPath, {hash, document.size()}}};
  out.blobs[hash] = std::make_shared<const Bytes>(std::move(document));
  auto tree = model::Tree::make(std::move(files));
  REQUIRE(tree);
  out.tree = std::make_shared<const model::Tree>(*std::move(tree));
  return out;
}

// The peak of the heap, in MB, while `work` runs: everything alive then is counted.
double peak_of(const auto& work) {
  heap_meter::reset_peak();
  work();
  return static_cast<double>(heap_meter::peak_bytes()) / 1e6;
}

struct Sent {
  Bytes artifact;
  delta::ApplyLimits limits;
  Hash content_root;  // zero when unknown
  double made_with_mb = 0;
};

Sent send(const std::string& what, const model::ModelContent* base, Bytes document) {
  const model::ModelContent target = model_with(std::move(document));
  const delta::ReleaseContent from = base ? samples::side_of(*base) : delta::ReleaseContent{};
  Sent out{{}, samples::limits_of(target), target.tree->content_root()};
  out.made_with_mb = peak_of([&] {
    auto artifact = delta::encode_artifact(base ? &from : nullptr, samples::side_of(target));
    REQUIRE(artifact);
    out.artifact = *std::move(artifact);
  });
  MESSAGE(what << ": " << out.artifact.size() << " bytes, made with " << out.made_with_mb << " MB");
  return out;
}

// Returns the peak, in MB.
double check_outcome(const std::string& what, const model::ModelContent* base, const Sent& sent) {
  const delta::ReleaseContent from = base ? samples::side_of(*base) : delta::ReleaseContent{};
  Result<delta::AppliedArtifact> applied = delta::AppliedArtifact{};
  const double peak = peak_of(
      [&] { applied = delta::apply_artifact(sent.artifact, base ? &from : nullptr, sent.limits); });
  MESSAGE(what << ": applied with " << peak << " MB");
  REQUIRE(applied);
  if (!sent.content_root.is_zero()) CHECK(applied->tree->content_root() == sent.content_root);
  return peak;
}

void check_apply(const std::string& what, const model::ModelContent* base, const Sent& sent) {
  const double peak = check_outcome(what, base, sent);
  if (heap_meter::counts()) CHECK(peak <= kPeakBytesMax / 1e6);
}

// A stream of a delta, compressed when that is shorter.
void put_stream(Bytes& out, ByteView raw, int window_log, ByteView prefix = {}) {
  const Bytes frame = *zstd_compress(raw, prefix, {.level = 1, .window_log = window_log});
  const bool compressed = frame.size() < raw.size();
  put_varint(out, raw.size() * 2 + (compressed ? 1 : 0));
  if (compressed) put_varint(out, frame.size());
  out += compressed ? ByteView(frame) : raw;
}

// As many copies of 8 bytes from anywhere as fit, each with `gap` literals before it.
Bytes delta_of_many_copies(size_t bytes, size_t gap) {
  SeededRandom random(8);
  Bytes lengths, gaps, offsets, literals, out;
  uint64_t source = 0;
  for (size_t made = gap + 8; made <= bytes; made += gap + 8) {
    const uint64_t from = random.below(bytes - 8);
    put_varint(lengths, 0);
    put_varint(gaps, gap);
    put_varint(offsets, 2 + delta::zigzag(static_cast<int64_t>(from - source - gap)));
    source = from + 8;
  }
  literals = samples::random_text(random, bytes - lengths.size() * 8);
  put_varint(out, 0);
  put_varint(out, 0);
  for (const Bytes* numbers : {&lengths, &gaps, &offsets})
    put_stream(out, *numbers, limits::kDeltaWindowLogMax);
  put_stream(out, literals, 26);
  return out;
}

// No copies, and literals that hardly compress.
Bytes delta_of_literals(size_t bytes) {
  Bytes out(2, '\0'), literals = noise(bytes - 100'000) + Bytes(100'000, 'x');
  for (int numbers = 0; numbers < 3; ++numbers) put_varint(out, 0);
  put_stream(out, literals, 26);
  return out;
}

void put_section(Bytes& out, int first, size_t raw_bytes, ByteView coded) {
  out.push_back(static_cast<char>(first));
  put_varint(out, raw_bytes);
  put_varint(out, coded.size());
  out += coded;
}

constexpr ByteView kModified{"\x01\x01\x00\x00", 4};  // file 0, with the size it has

// A hand-made artifact for a base with one document, which is modified and keeps its size.
Sent by_hand(int coding, size_t bytes, ByteView coded) {
  Sent out{"\x01", {bytes, 1}, {}};
  out.artifact.reserve(coded.size() + 64);
  put_section(out.artifact, 1, 8, "envelope");
  put_section(out.artifact, 2, kModified.size(), kModified);
  put_section(out.artifact, 4 | coding << 4, bytes, coded);
  out.artifact += "\x05";
  return out;
}

}  // namespace

TEST_CASE("64 MB are enough to apply any change of a document of 20 MB") {
  const model::ModelContent base = model_with(document(kDocumentBytes));
  const auto check = [&](const std::string& what, Bytes target) {
    const Sent sent = send(what, &base, std::move(target));
    check_apply(what, &base, sent);
  };
  const auto old = [&]() -> const Bytes& { return *base.blobs.begin()->second; };
  SUBCASE("one record") {
    Bytes target = old();
    check("one record", std::move(target.replace(target.size() / 2, 12, "changed")));
  }
  SUBCASE("a record in a hundred") {
    check("1 % of the records", document(kDocumentBytes, 100, 1));
  }
  SUBCASE("every record") { check("every timestamp", document(kDocumentBytes, 1, 1)); }
  SUBCASE("noise") { check("noise", noise(kDocumentBytes)); }
  SUBCASE("text") {
    SeededRandom random(9);
    check("unrelated text", samples::random_text(random, kDocumentBytes));
  }
  SUBCASE("reversed") { check("blocks of 150 bytes, reversed", reversed_by(150, old())); }
}

TEST_CASE("64 MB are enough for a first document of 20 MB") {
  SUBCASE("from nothing") {
    check_apply("from nothing", nullptr, send("from nothing", nullptr, document(kDocumentBytes)));
  }
  SUBCASE("from an empty document") {
    const model::ModelContent none = model_with("");
    const Sent sent = send("from an empty document", &none, noise(kDocumentBytes));
    check_apply("from an empty document", &none, sent);
  }
}

TEST_CASE("64 MB are enough for what a stranger makes of a document of 20 MB") {
  const model::ModelContent base = model_with(document(kDocumentBytes));
  const Bytes& old = *base.blobs.begin()->second;
  const auto check = [&](const std::string& what, int coding, Bytes coded) {
    const Sent sent = by_hand(coding, old.size(), coded);
    Bytes().swap(coded);
    check_apply(what, &base, sent);
  };
  SUBCASE("copies") { check("copies of 8 bytes", 3, delta_of_many_copies(old.size(), 0)); }
  SUBCASE("gaps") {
    check("copies and literals of 8 bytes", 3, delta_of_many_copies(old.size(), 8));
  }
  SUBCASE("literals") { check("literals that hardly compress", 3, delta_of_literals(old.size())); }
  SUBCASE("a prefix") {
    const auto coded = [&] {
      const Bytes target = noise(old.size() / 2) + old.substr(old.size() / 2);
      return *zstd_compress(target, old, {.level = 1, .window_log = limits::kZstdWindowLogMax});
    };
    check("zstd with the old document", 2, coded());
  }
}

TEST_CASE("what a model of one document cannot need is refused before it takes memory") {
  const model::ModelContent base = model_with(document(1'000'000));
  const delta::ReleaseContent from = samples::side_of(base);
  Bytes artifact = "\x01";
  put_section(artifact, 1, 8, "envelope");
  SUBCASE("a path program of 32 MB") {
    const Bytes program(limits::kPathProgramBytesMax, '\0');
    put_section(artifact, 2 | 1 << 4, program.size(), *zstd_compress(program, {}, {}));
  }
  SUBCASE("100,000 sections") {
    put_section(artifact, 2, kModified.size(), kModified);
    for (size_t i = 0; i < limits::kModelFilesMax; ++i) put_section(artifact, 3, 0, "");
  }
  artifact += "\x05";
  const size_t before = heap_meter::live_bytes();
  heap_meter::reset_peak();
  const auto applied = delta::apply_artifact(artifact, &from, samples::limits_of(base));
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == ErrorCode::kArtifact);
  if (heap_meter::counts()) CHECK(heap_meter::peak_bytes() - before < 100'000);
}

TEST_CASE("the largest document travels whole and as a delta, made with four times its size") {
  constexpr double kMadeWithMax = 4.0 * limits::kBlobBytesMax / 1e6;
  const auto largest = [] {
    const Bytes piece = document(1 << 20);
    Bytes out;
    out.reserve(limits::kBlobBytesMax);
    for (uint64_t i = 0; out.size() + piece.size() + 20 <= limits::kBlobBytesMax; ++i)
      out.append(std::to_string(i)).append(piece);
    return out.append(limits::kBlobBytesMax - out.size(), ' ');
  };
  const model::ModelContent base = model_with(largest());
  SUBCASE("whole") {
    const Sent sent = send("256 MiB, whole", nullptr, largest());
    check_outcome("256 MiB, whole", nullptr, sent);
    if (heap_meter::counts()) CHECK(sent.made_with_mb <= kMadeWithMax);
  }
  SUBCASE("a delta") {
    Bytes target = largest();
    target.replace(target.size() - 100, 10, "at the end");
    target.replace(target.size() / 2, 20, "half");
    target.insert(100, "in front");
    target.resize(limits::kBlobBytesMax);
    const Sent sent = send("256 MiB, four edits", &base, std::move(target));
    CHECK(sent.artifact.size() < 200);
    check_outcome("256 MiB, four edits", &base, sent);
    if (heap_meter::counts()) CHECK(sent.made_with_mb <= kMadeWithMax);
  }
}
