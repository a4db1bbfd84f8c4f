// A transfer that is cut: at any point, with or without the agent dying in between. It completes
// with the correct content, and no chunk that arrived whole is sent again.
#include <fmt/format.h>

#include <set>

#include "common/storage/files.hpp"
#include "tests/fault/transfer_ends.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

// Text that hardly compresses, so that its size on the wire is predictable.
Bytes noise(size_t bytes, uint64_t seed) {
  SeededRandom random(seed);
  Bytes out = "\"";
  while (out.size() < bytes) out += fmt::format("{:016x}", random.next_u64());
  return out + "\"";
}

std::map<std::string, Bytes> files_of(uint64_t version) {
  return {{"manifest.json", "{}"},
          {"p.rego", fmt::format("package payments\nversion := {}", version)},
          {"payments/data.json", noise(1'600'000, version)}};
}

// The ends of a stream's frames, and the content of its chunks.
struct FrameMark {
  size_t end = 0;
  uint64_t chunk_bytes = 0;
};

std::vector<FrameMark> frames_of(ByteView stream) {
  std::vector<FrameMark> marks;
  wire::FrameParser parser;
  for (size_t at = 0; at < stream.size(); ++at) {
    parser.feed(stream.substr(at, 1));
    const auto message = parser.next();
    if (!message) FAIL(message.error().message);
    if (!*message) continue;
    const auto* chunk = std::get_if<wire::Chunk>(&**message);
    marks.push_back({at + 1, chunk ? chunk->bytes.size() : 0});
  }
  return marks;
}

struct Resumed {
  std::optional<wire::Offer> offer;
  uint64_t chunk_bytes = 0;
};

Resumed resumed_in(ByteView stream) {
  Resumed out;
  wire::FrameParser parser;
  parser.feed(stream);
  for (auto message = parser.next(); message && *message; message = parser.next()) {
    if (const auto* offer = std::get_if<wire::Offer>(&**message)) out.offer = *offer;
    if (const auto* chunk = std::get_if<wire::Chunk>(&**message))
      out.chunk_bytes += chunk->bytes.size();
  }
  return out;
}

// `had`: releases that the node holds before the transfer.
struct Scene {
  ReleaseFixture fixture;
  uint64_t had = 0;
  TemporaryFolder prepared;
  Bytes whole;  // the server's output without a cut
  std::vector<FrameMark> frames;

  explicit Scene(uint64_t releases_before) : had(releases_before) {
    SeededRandom random(1);
    for (uint64_t version = 1; version <= had; ++version) fixture.publish(files_of(version));
    if (had > 0) {
      StagingNode node(prepared.path());
      node.converse(fixture, SIZE_MAX, random);
      REQUIRE(node.stored_version() == had);
    }
    fixture.publish(files_of(had + 1));
    TemporaryFolder folder;
    copy_to(folder);
    StagingNode node(folder.path());
    whole = node.converse(fixture, SIZE_MAX, random);
    REQUIRE(node.stored_version() == had + 1);
    frames = frames_of(whole);
  }
  void copy_to(const TemporaryFolder& folder) const {
    std::filesystem::copy(prepared.path(), folder.path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }
  uint64_t whole_chunk_bytes(size_t cut) const {
    uint64_t bytes = 0;
    for (const FrameMark& frame : frames)
      if (frame.end <= cut) bytes += frame.chunk_bytes;
    return bytes;
  }
  uint64_t artifact_bytes() const { return whole_chunk_bytes(whole.size()); }
};

void check_content(StagingNode& node, const Scene& scene) {
  const ServedRelease& release = scene.fixture.newest();
  const auto tree = node.store().tree(samples::kLedger, release.release.version);
  REQUIRE_MESSAGE(tree, tree.error().message);
  CHECK((*tree)->content_root() == release.release.content_root);
  for (const auto& [path, file] : (*tree)->files()) {
    const auto content = node.store().blob(file.hash);
    REQUIRE_MESSAGE(content, content.error().message);
    CHECK(**content == *release.blobs.at(file.hash));
  }
}

void cut_at(const Scene& scene, size_t cut, bool dies, SeededRandom& random) {
  INFO("cut after byte ", cut, dies ? ", and the agent dies" : "");
  TemporaryFolder folder;
  scene.copy_to(folder);
  auto node = std::make_unique<StagingNode>(folder.path());
  node->converse(scene.fixture, cut, random);
  if (dies) {
    node.reset();
    node = std::make_unique<StagingNode>(folder.path());
  }
  const uint64_t arrived = scene.whole_chunk_bytes(cut);
  const bool complete = arrived == scene.artifact_bytes();
  const Resumed second = resumed_in(node->converse(scene.fixture, SIZE_MAX, random));
  CHECK(node->stored_version() == scene.had + 1);
  check_content(*node, scene);
  CHECK(second.offer.has_value() != complete);
  if (second.offer) {
    CHECK(second.offer->offset == arrived);
    CHECK(second.chunk_bytes == scene.artifact_bytes() - arrived);
  }
  // Nothing of the transfer remains.
  CHECK(store::StagingFiles(folder.path()).stored_bytes() == 0);
}

void cut_everywhere(const Scene& scene, size_t random_cuts) {
  SeededRandom random(42);
  std::set<size_t> cuts;
  for (const FrameMark& frame : scene.frames)
    for (size_t at : {frame.end - 1, frame.end, frame.end + 1})
      if (at <= scene.whole.size()) cuts.insert(at);
  CHECK(scene.frames.size() > 5);
  for (const size_t marks = cuts.size(); cuts.size() < marks + random_cuts;)
    cuts.insert(random.below(scene.whole.size()));
  bool dies = false;
  for (const size_t cut : cuts) cut_at(scene, cut, dies = !dies, random);
  for (const FrameMark& frame : scene.frames)
    for (const bool death : {false, true}) cut_at(scene, frame.end, death, random);
}

}  // namespace

TEST_CASE("a first transfer that is cut anywhere goes on where it was") {
  cut_everywhere(Scene(0), 200);
}

TEST_CASE("an update that is cut anywhere goes on where it was") { cut_everywhere(Scene(1), 100); }

TEST_CASE("cut again and again, with deaths in between, every chunk is sent once") {
  const Scene scene(0);
  SeededRandom random(7);
  TemporaryFolder folder;
  auto node = std::make_unique<StagingNode>(folder.path());
  uint64_t sent = 0, sessions = 0;
  while (node->stored_version() == 0) {
    REQUIRE(++sessions < 200);
    // Some sessions end before they offer anything: data that arrived earlier must be kept.
    const size_t bytes = random.below(3) == 0 ? random.below(20) : random.below(400'000);
    sent += resumed_in(node->converse(scene.fixture, bytes, random)).chunk_bytes;
    if (random.below(2) == 0 && node->stored_version() == 0) {
      node.reset();
      node = std::make_unique<StagingNode>(folder.path());
    }
  }
  CHECK(sessions > 4);
  CHECK(sent == scene.artifact_bytes());
  check_content(*node, scene);
}

TEST_CASE("what is staged is dropped when a newer release takes its place") {
  Scene scene(0);
  SeededRandom random(9);
  TemporaryFolder folder;
  {
    StagingNode node(folder.path());
    node.converse(scene.fixture, scene.whole.size() / 2, random);
  }
  CHECK(store::StagingFiles(folder.path()).stored_bytes() > 0);
  scene.fixture.publish(files_of(2));
  StagingNode node(folder.path());
  const Resumed second = resumed_in(node.converse(scene.fixture, SIZE_MAX, random));
  REQUIRE(second.offer);
  CHECK(second.offer->offset == 0);
  CHECK(node.stored_version() == 2);
  CHECK(store::StagingFiles(folder.path()).stored_bytes() == 0);
}

TEST_CASE("staged bytes that are damaged are cut off where the damage begins") {
  const Scene scene(0);
  SeededRandom random(11);
  for (int round = 0; round < 40; ++round) {
    TemporaryFolder folder;
    {
      StagingNode node(folder.path());
      node.converse(scene.fixture, scene.whole.size() * 3 / 4, random);
    }
    const auto file = folder.path() / "staging" /
                      fmt::format("{}-{}", samples::kLedger.zone, samples::kLedger.name);
    auto content = read_file(file, 1 << 24);
    REQUIRE(content);
    const uint64_t staged = store::StagingFiles(folder.path()).load().at(0).bytes.size();
    const size_t at = random.below(content->size());
    if (round % 2 == 0)
      content->resize(at);
    else
      (*content)[at] = static_cast<char>((*content)[at] ^ 0x40);
    REQUIRE(write_file(file, *content));
    StagingNode node(folder.path());
    const Resumed second = resumed_in(node.converse(scene.fixture, SIZE_MAX, random));
    REQUIRE(second.offer);
    CHECK(second.offer->offset < staged);
    CHECK(second.offer->offset + limits::kStagedPieceBytesMax + limits::kChunkBytesMax >
          std::min<uint64_t>(at, staged));
    CHECK(node.stored_version() == 1);
    check_content(node, scene);
  }
}

}  // namespace notp
