// The hot paths on fixed data, one for each run, for a tool that counts instructions. Only the
// calls of notp_counted() count.
//
// Usage: hot_paths delta_encode | delta_apply | frame_parse | content_root
#include <cstdio>
#include <functional>
#include <map>

#include "common/assert.hpp"
#include "common/random.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/registry/model_samples.hpp"

// A name for the tool; never inlined into its caller.
extern "C" [[gnu::noinline]] void notp_counted(const std::function<void()>& work) {
  work();
  asm volatile("" ::: "memory");
}

namespace {

using namespace notp;
using samples::Texts;

constexpr uint64_t kSeed = 7;
constexpr size_t kPolicies = 60, kPolicyBytes = 2'000, kDocumentRecords = 4'000;
constexpr size_t kCommits = 2'000, kChunks = 40, kChunkBytes = 16 << 10, kReadBytes = 1'400;

std::string document(Random& random) {
  std::string out = "[";
  for (size_t i = 0; i < kDocumentRecords; ++i) {
    out += i == 0 ? "{\"id\":" : ",{\"id\":";
    out += std::to_string(random.next_u64());
    out += ",\"clearance\":" + std::to_string(random.below(6)) + ",\"tenant\":\"t";
    out += std::to_string(random.below(500)) + "\",\"mfa\":true}";
  }
  return out + "]";
}

// An agent's model, and its next release: a rule, a new file, and records of a document.
struct Releases {
  model::ModelContent before, after;
};

Releases releases() {
  SeededRandom random(kSeed);
  Texts texts{{"data/data.json", document(random)}};
  for (size_t i = 0; i < kPolicies; ++i)
    texts["authz/p" + std::to_string(i) + ".rego"] = samples::random_text(random, kPolicyBytes);
  Releases out;
  out.before = samples::model_of(texts);
  texts["authz/p7.rego"].insert(kPolicyBytes / 2, "input.amount < 1000");
  texts["authz/q0.rego"] = samples::random_text(random, kPolicyBytes);
  std::string& text = texts["data/data.json"];
  for (size_t ninth = 3; ninth < 9; ++ninth)
    text.replace(text.find("true", text.size() / 9 * ninth), 4, "null");
  out.after = samples::model_of(texts);
  return out;
}

Bytes encode(const Releases& releases) {
  const delta::ReleaseContent base = samples::side_of(releases.before);
  auto artifact = delta::encode_artifact(&base, samples::side_of(releases.after));
  NOTP_ASSERT(artifact.has_value(), "the delta encodes");
  return *std::move(artifact);
}

void delta_encode() {
  const Releases both = releases();
  Bytes artifact;
  notp_counted([&] { artifact = encode(both); });
  NOTP_ASSERT(artifact.size() < kPolicyBytes * 2, "a delta, not a copy");
}

void delta_apply() {
  const Releases both = releases();
  const Bytes artifact = encode(both);
  const delta::ReleaseContent base = samples::side_of(both.before);
  Hash root;
  notp_counted([&] {
    const auto applied = delta::apply_artifact(artifact, &base, samples::limits_of(both.after));
    NOTP_ASSERT(applied.has_value(), "the delta applies");
    root = applied->tree->content_root();
  });
  NOTP_ASSERT(root == both.after.tree->content_root(), "the delta gives the release");
}

// Input of a busy registry: reports of nodes, and a publish in chunks, cut anywhere.
Bytes stream() {
  wire::Commit commit;
  commit.ledger = {100'000'000'000, "payments"};
  commit.state = wire::CommitState::kActive;
  Bytes out;
  for (size_t i = 0; i < kCommits; ++i) {
    commit.version = i + 1;
    out += wire::encode_frame(commit);
  }
  const Bytes chunk(kChunkBytes, 'c');
  for (size_t i = 0; i < kChunks; ++i) out += wire::encode_chunk_header(1, chunk.size()) + chunk;
  return out;
}

void frame_parse() {
  const Bytes bytes = stream();
  size_t messages = 0;
  notp_counted([&] {
    wire::FrameParser parser;
    for (size_t at = 0; at < bytes.size(); at += kReadBytes) {
      parser.feed(ByteView(bytes).substr(at, kReadBytes));
      for (;;) {
        const auto message = parser.next();
        NOTP_ASSERT(message.has_value(), "the frames parse");
        if (!*message) break;
        ++messages;
      }
    }
  });
  NOTP_ASSERT(messages == kCommits + kChunks, "every frame is parsed");
}

void content_root() {
  const Releases both = releases();
  Hash root;
  notp_counted([&] {
    model::Files files;
    for (const auto& [path, entry] : both.after.tree->files())
      files[path] = {model::blob_hash(*both.after.blobs.at(entry.hash)), entry.bytes};
    const auto tree = model::Tree::make(std::move(files));
    NOTP_ASSERT(tree.has_value(), "the model keeps the rules");
    root = tree->content_root();
  });
  NOTP_ASSERT(root == both.after.tree->content_root(), "the same content, the same root");
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string_view, void (*)()> paths = {{"delta_encode", delta_encode},
                                                        {"delta_apply", delta_apply},
                                                        {"frame_parse", frame_parse},
                                                        {"content_root", content_root}};
  const auto path = argc == 2 ? paths.find(argv[1]) : paths.end();
  if (path == paths.end()) {
    std::fputs("usage: hot_paths delta_encode | delta_apply | frame_parse | content_root\n",
               stderr);
    return 2;
  }
  path->second();
  return 0;
}
