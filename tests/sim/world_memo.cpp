#include "tests/sim/world_memo.hpp"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/crypto/x509.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp {

// The library's own functions, compiled under these names by CMakeLists.txt.
Result<Bytes> zstd_compress_by_libzstd(ByteView content, ByteView prefix,
                                       const ZstdOptions& options);
namespace delta {
Result<trust::ReleaseEnvelope> read_envelope_anew(ByteView artifact,
                                                  const trust::ReleaseEnvelope& base_envelope);
Result<AppliedArtifact> apply_artifact_anew(ByteView artifact, const ReleaseContent* base,
                                            const ApplyLimits& limits);
}  // namespace delta
namespace x509 {
Result<Certificate> read_der_anew(ByteView der);
}

namespace {

// Of the keys of one memo, which then starts again. A world has less than a tenth.
constexpr size_t kMemoBytesMax = 16 << 20;

// Both ends tell most keys apart; the comparison of all bytes follows.
struct HashOfEnds {
  using is_transparent = void;
  size_t operator()(ByteView key) const {
    constexpr size_t kEndBytes = 64;
    const std::hash<ByteView> hash;
    const size_t end = key.size() - std::min(key.size(), kEndBytes);
    return hash(key.substr(0, kEndBytes)) ^ hash(key.substr(end)) * 31 ^ key.size();
  }
};

template <typename Value>
class Memo {
 public:
  // nullptr: not remembered. Valid until keep().
  const Value* find(ByteView key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  void keep(Bytes key, Value value) {
    bytes_ += key.size();
    if (bytes_ > kMemoBytesMax) {
      values_.clear();
      bytes_ = key.size();
    }
    values_.insert_or_assign(std::move(key), std::move(value));
  }

 private:
  std::unordered_map<Bytes, Value, HashOfEnds, std::equal_to<>> values_;
  size_t bytes_ = 0;
};

struct Frame {
  Bytes bytes;  // empty: takes more than `bytes_max`
  size_t bytes_max = 0;
};

struct Applied {
  delta::AppliedArtifact artifact;
  std::vector<std::pair<Hash, size_t>> loaded;  // from the base, in this order, with their sizes
};

struct OfThisThread {
  bool remembers = false;
  Memo<Frame> frames;
  Memo<trust::ReleaseEnvelope> envelopes;
  Memo<Applied> applied;
  Memo<std::shared_ptr<X509>> certificates;
};

OfThisThread& of_this_thread() {
  thread_local OfThisThread state;
  return state;
}

// Numbers and lengths in front of the bytes keep two inputs from having one key.
Bytes key_of(std::initializer_list<uint64_t> numbers, ByteView first, ByteView second) {
  Bytes key;
  key.reserve(10 * (numbers.size() + 1) + first.size() + second.size());
  for (const uint64_t number : numbers) put_varint(key, number);
  put_varint(key, first.size());
  key += first;
  key += second;
  return key;
}

// Everything of a tree: its content root has the paths and hashes.
Bytes identity(const model::Tree& tree) {
  Bytes out(tree.content_root().view());
  for (const auto& [path, file] : tree.files()) put_varint(out, file.bytes);
  return out;
}

bool loads(const delta::ReleaseContent& base, const std::vector<std::pair<Hash, size_t>>& loaded) {
  return std::ranges::all_of(loaded, [&](const auto& each) {
    const auto content = base.load(each.first);
    return content && *content && (*content)->size() == each.second;
  });
}

}  // namespace

void sim::begin_memo(bool remembers) {
  // Nodes have the same certificates in every world.
  auto certificates = std::move(of_this_thread().certificates);
  of_this_thread() = {};
  of_this_thread().remembers = remembers;
  of_this_thread().certificates = std::move(certificates);
}

// With less room zstd gives up, or finds the same: a frame is good for at least as much room as it
// was made with, and its absence for at most that.
Result<Bytes> zstd_compress(ByteView content, ByteView prefix, const ZstdOptions& options) {
  OfThisThread& state = of_this_thread();
  if (!state.remembers || options.keep_going != nullptr)
    return zstd_compress_by_libzstd(content, prefix, options);
  const size_t bytes_max = options.frame_bytes_max;
  Bytes key = key_of({static_cast<uint64_t>(options.level),
                      static_cast<uint64_t>(options.window_log), options.long_distance ? 1U : 0U},
                     prefix, content);
  if (const Frame* known = state.frames.find(key)) {
    const bool fits = !known->bytes.empty();
    if (fits && bytes_max >= known->bytes_max) return known->bytes;
    if (bytes_max < known->bytes.size() || (!fits && bytes_max <= known->bytes_max)) return Bytes();
  }
  NOTP_ASSIGN(Bytes bytes, zstd_compress_by_libzstd(content, prefix, options));
  state.frames.keep(std::move(key), {bytes, bytes_max});
  return bytes;
}

Result<trust::ReleaseEnvelope> delta::read_envelope(ByteView artifact,
                                                    const trust::ReleaseEnvelope& base_envelope) {
  OfThisThread& state = of_this_thread();
  if (!state.remembers) return delta::read_envelope_anew(artifact, base_envelope);
  Bytes key = key_of({}, base_envelope.bytes(), artifact);
  if (const trust::ReleaseEnvelope* known = state.envelopes.find(key)) return *known;
  NOTP_ASSIGN(trust::ReleaseEnvelope envelope, delta::read_envelope_anew(artifact, base_envelope));
  state.envelopes.keep(std::move(key), envelope);
  return envelope;
}

Result<delta::AppliedArtifact> delta::apply_artifact(ByteView artifact,
                                                     const delta::ReleaseContent* base,
                                                     const delta::ApplyLimits& limits) {
  OfThisThread& state = of_this_thread();
  if (!state.remembers) return delta::apply_artifact_anew(artifact, base, limits);
  Bytes key = key_of({limits.total_bytes, limits.file_count},
                     base ? identity(*base->tree) : Bytes(), artifact);
  const Applied* known = state.applied.find(key);
  if (known && (!base || loads(*base, known->loaded))) return known->artifact;
  if (!base) {
    NOTP_ASSIGN(delta::AppliedArtifact applied,
                delta::apply_artifact_anew(artifact, nullptr, limits));
    state.applied.keep(std::move(key), {applied, {}});
    return applied;
  }
  std::vector<std::pair<Hash, size_t>> loaded;
  const delta::ReleaseContent noted{base->envelope, base->tree, [&](const Hash& hash) {
                                      auto content = base->load(hash);
                                      if (content && *content)
                                        loaded.emplace_back(hash, (*content)->size());
                                      return content;
                                    }};
  NOTP_ASSIGN(delta::AppliedArtifact applied, delta::apply_artifact_anew(artifact, &noted, limits));
  state.applied.keep(std::move(key), {applied, std::move(loaded)});
  return applied;
}

Result<x509::Certificate> x509::read_der(ByteView der) {
  OfThisThread& state = of_this_thread();
  if (!state.remembers) return read_der_anew(der);
  const std::shared_ptr<X509>* known = state.certificates.find(der);
  if (known == nullptr) {
    NOTP_ASSIGN(Certificate read, read_der_anew(der));
    state.certificates.keep(Bytes(der), {read.release(), X509_free});
    known = state.certificates.find(der);
  }
  X509_up_ref(known->get());
  return Certificate(known->get());
}

}  // namespace notp
