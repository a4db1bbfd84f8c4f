// Modified artifacts: each is refused, or becomes a model within the signed limits whose content
// matches its tree.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/delta/section.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace {

using namespace notp;
using delta::Section;

constexpr uint64_t kSeeds = 60;
constexpr int kMutationsEach = 40;  // for each artifact

// A section, to be written again with other lengths.
struct Piece {
  int first = 0;  // kind and coding
  uint64_t raw_bytes = 0, coded_bytes = 0;
  Bytes coded;
};

std::vector<Piece> pieces_of(ByteView artifact) {
  std::vector<Piece> out;
  artifact.remove_prefix(1);
  while (!artifact.empty()) {
    const int first = static_cast<uint8_t>(artifact.front());
    const auto section = delta::take_section(artifact);
    REQUIRE(section);
    if (section->kind == delta::SectionKind::kEnd) break;
    out.push_back({first, section->raw_bytes, section->coded.size(), Bytes(section->coded)});
  }
  return out;
}

Bytes joined(const std::vector<Piece>& pieces) {
  Bytes out(1, delta::kFormatVersion);
  for (const Piece& piece : pieces) {
    out.push_back(static_cast<char>(piece.first));
    put_varint(out, piece.raw_bytes);
    put_varint(out, piece.coded_bytes);
    out += piece.coded;
  }
  delta::put_end(out);
  return out;
}

uint64_t other_number(Random& random, uint64_t value) {
  switch (random.below(6)) {
    case 0:
      return value + 1;
    case 1:
      return value - 1;
    case 2:
      return random.below(300);
    case 3:
      return uint64_t{1} << random.below(64);
    case 4:
      return limits::kBlobBytesMax;
    default:
      return ~uint64_t{0};
  }
}

void flip_bits(Random& random, Bytes& bytes) {
  if (bytes.empty()) return;
  for (uint64_t flips = 1 + random.below(4); flips > 0; --flips) {
    char& at = bytes[random.below(bytes.size())];
    at = static_cast<char>(at ^ 1 << random.below(8));
  }
}

// The ways to modify an artifact. `other` is one between the same models.
enum Way { kBits, kCut, kSplice, kSections, kLengths, kInside, kWays };
constexpr std::array<const char*, kWays> kWayNames = {
    "bits", "cut", "spliced", "sections of two", "lengths of sections", "bytes of one section"};

Bytes mutated(Random& random, Way way, const Bytes& artifact, const Bytes& other) {
  Bytes out = artifact;
  std::vector<Piece> pieces = pieces_of(artifact);
  Piece& piece = pieces[random.below(pieces.size())];
  switch (way) {
    case kBits:
      flip_bits(random, out);
      return out;
    case kCut:
      return out.substr(0, random.below(out.size()));
    case kSplice:
      return out.substr(0, random.below(out.size())) + other.substr(random.below(other.size()));
    case kSections: {
      const std::vector<Piece> others = pieces_of(other);
      piece = others[random.below(others.size())];
      if (random.below(4) == 0) pieces.push_back(others.back());
      return joined(pieces);
    }
    case kLengths:
      if (random.below(3) == 0) piece.first = static_cast<int>(random.below(256));
      (random.below(2) ? piece.raw_bytes : piece.coded_bytes) =
          other_number(random, random.below(2) ? piece.raw_bytes : piece.coded_bytes);
      return joined(pieces);
    default:
      flip_bits(random, piece.coded);
      if (random.below(4) == 0) {
        piece.coded.insert(random.below(piece.coded.size() + 1), samples::random_text(random, 3));
        piece.coded_bytes = piece.coded.size();
      }
      return joined(pieces);
  }
}

// Returns whether it was accepted.
bool check(const Bytes& artifact, const model::ModelContent* base,
           const delta::ApplyLimits& limits) {
  delta::ReleaseContent side;
  if (base) side = samples::side_of(*base);
  const auto envelope = delta::read_envelope(artifact, side.envelope);
  if (envelope)
    CHECK(envelope->bytes().size() <= limits::kEnvelopeBytesMax);
  else
    CHECK(envelope.error().code == ErrorCode::kArtifact);
  const auto applied = delta::apply_artifact(artifact, base ? &side : nullptr, limits);
  if (!applied) {
    CHECK(applied.error().code == ErrorCode::kArtifact);
    return false;
  }
  CHECK(applied->tree->total_bytes() <= limits.total_bytes);
  CHECK(applied->tree->files().size() <= limits.file_count);
  for (const auto& [path, entry] : applied->tree->files()) {
    const auto fresh = applied->new_blobs.find(entry.hash);
    const bool known = base && base->blobs.contains(entry.hash);
    REQUIRE((known || fresh != applied->new_blobs.end()));
    if (fresh == applied->new_blobs.end()) continue;
    CHECK(fresh->second->size() == entry.bytes);
    CHECK(model::blob_hash(*fresh->second) == entry.hash);
  }
  return true;
}

// Two models of random files that share a large document, in two versions.
std::array<model::ModelContent, 2> two_models(Random& random) {
  samples::Texts one = samples::random_texts(random, random.below(20)), other = one;
  std::erase_if(one, [](const auto& file) { return file.first.starts_with("d"); });
  other = one;
  Bytes& document = one["data/data.json"];
  document = samples::random_text(random, limits::kSmallFileBytesMax + 1 + random.below(9000));
  Bytes changed = document;
  for (size_t at = 50; at + 2000 < changed.size(); at += 1 + random.below(8000))
    changed.replace(at, random.below(60), samples::random_text(random, random.below(60)));
  other["data/data.json"] = changed;
  for (int i = 0; i < 3; ++i) {
    other["new/" + std::to_string(random.below(9)) + ".rego"] =
        samples::random_text(random, random.below(900));
    if (!one.empty()) other["copy/" + std::to_string(i)] = one.begin()->second;
  }
  return {samples::model_of(one), samples::model_of(other)};
}

}  // namespace

TEST_CASE("what a stranger makes of an artifact is refused or a model within the limits") {
  std::array<size_t, kWays> cases{}, accepted{};
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const auto [before, after] = two_models(random);
    const delta::ReleaseContent from = samples::side_of(before), to = samples::side_of(after);
    const Bytes full = *delta::encode_artifact(nullptr, to),
                delta = *delta::encode_artifact(&from, to);
    REQUIRE(check(full, nullptr, samples::limits_of(after)));
    REQUIRE(check(delta, &before, samples::limits_of(after)));
    for (int i = 0; i < kMutationsEach; ++i) {
      const Way way = static_cast<Way>(random.below(kWays));
      CAPTURE(std::string(kWayNames[way]));
      const bool of_full = random.below(3) == 0;
      const Bytes& whole = of_full ? full : delta;
      const Bytes changed = mutated(random, way, whole, of_full ? delta : full);
      ++cases[way];
      accepted[way] += check(changed, random.below(4) ? &before : nullptr,
                             samples::limits_of(random.below(4) ? after : before));
    }
  }
  for (size_t way = 0; way < kWays; ++way) {
    MESSAGE(std::string(kWayNames[way])
            << ": " << cases[way] << " artifacts, " << accepted[way] << " accepted");
    CHECK(cases[way] > 100);
  }
  CHECK(accepted[kCut] == 0);
}
