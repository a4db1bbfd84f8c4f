#include "protocol/delta/envelope_diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/limits.hpp"
#include "protocol/delta/zigzag.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::delta {
namespace {

// The bits of the mask: fields that differ from the expectation. Fields that change with each
// release come first.
enum class Field : uint32_t {
  kContentRoot,
  kIssued,
  kTotalBytes,
  kFileCount,
  kCommit,
  kVersion,
  kPrevious,
  kKeyids,
  kEpoch,
  kRoots,
  kExpires,
  kFresh,
  kHard,
  kOnHard,
  kSource,
  kUses,
  kAcceptBy,
  kFields
};

constexpr uint64_t bit(Field field) { return uint64_t{1} << static_cast<uint32_t>(field); }

// Bytes of the base's SHA-256: enough to detect a wrong base before its signature seems bad.
constexpr size_t kCheckBytes = 2;

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kArtifact, fmt::format("the difference of an envelope {}", what));
}

bool read(trust::ReleaseEnvelope& envelope) { return envelope.open() && envelope.read(); }

std::vector<std::string> keyids_of(const trust::ReleaseEnvelope& release) {
  std::vector<std::string> out;
  for (const trust::EnvelopeSignature& entry : release.envelope().signatures)
    out.push_back(entry.keyid);
  return out;
}

Bytes check_of(ByteView base) { return Bytes(sha256(base).view().substr(0, kCheckBytes)); }

// Returns the release that costs no bytes: the successor of the base, otherwise like it.
trust::Release expected_after(const trust::ReleaseEnvelope& base) {
  trust::Release out = base.release();
  ++out.version;
  out.previous_hash = base.hash();
  return out;
}

// The time from issue to expiry is expected to be that of the base.
TimeMs expected_expiry(const trust::Release& base, TimeMs issued_ms) {
  if (base.expires_ms == 0) return 0;
  const auto lifetime = static_cast<uint64_t>(base.expires_ms - base.issued_ms);
  return static_cast<TimeMs>(static_cast<uint64_t>(issued_ms) + lifetime);
}

constexpr size_t kSourceTexts = 3;

// All texts but the commit; empty without a source.
std::vector<std::string> source_texts(const std::optional<trust::Source>& source) {
  if (!source) return {};
  return {source->repository, source->ref, source->signer};
}

// The bytes of the commit's hash; empty without a source.
Bytes commit_of(const std::optional<trust::Source>& source) {
  return source ? from_hex(source->commit).value_or(Bytes()) : Bytes();
}

// "<zone>/<ledger>@<version>".
std::vector<std::string> use_texts(const std::vector<model::LedgerUse>& uses) {
  std::vector<std::string> out;
  for (const model::LedgerUse& use : uses)
    out.push_back(fmt::format("{}@{}", use.ledger.text(), use.version));
  return out;
}

class Writer {
 public:
  void number(Field field, uint64_t value, uint64_t expected) {
    if (value == expected) return;
    mask_ |= bit(field);
    put_varint(entries_, zigzag(static_cast<int64_t>(value - expected)));
  }
  void time(Field field, TimeMs value, TimeMs expected) {
    number(field, static_cast<uint64_t>(value), static_cast<uint64_t>(expected));
  }
  void hash(Field field, const Hash& value, const Hash& expected) {
    if (value == expected) return;
    mask_ |= bit(field);
    entries_ += value.view();
  }
  void texts(Field field, const std::vector<std::string>& value,
             const std::vector<std::string>& expected) {
    if (value == expected) return;
    mask_ |= bit(field);
    put_varint(entries_, value.size());
    for (const std::string& text : value) {
      put_varint(entries_, text.size());
      entries_ += text;
    }
  }
  void bytes(Field field, const Bytes& value, const Bytes& expected) {
    if (value == expected) return;
    mask_ |= bit(field);
    put_varint(entries_, value.size());
    entries_ += value;
  }
  uint64_t mask() const { return mask_; }
  const Bytes& entries() const { return entries_; }

 private:
  uint64_t mask_ = 0;
  Bytes entries_;
};

// The mirror of Writer: each call leaves the expectation in `value`, or takes its entry.
class Reader {
 public:
  Reader(uint64_t mask, ByteView in) : mask_(mask), in_(in) {}

  Result<void> number(Field field, uint64_t& value) {
    if (!has(field)) return {};
    NOTP_ASSIGN(const uint64_t distance, varint());
    value += static_cast<uint64_t>(unzigzag(distance));
    return {};
  }
  Result<void> time(Field field, TimeMs& value) {
    auto number_of = static_cast<uint64_t>(value);
    NOTP_TRY(number(field, number_of));
    value = static_cast<TimeMs>(number_of);
    return {};
  }
  Result<void> hash(Field field, Hash& value) {
    if (!has(field)) return {};
    NOTP_ASSIGN(const ByteView bytes, take(Hash::kSize));
    NOTP_ASSIGN(value, Hash::from_bytes(bytes));
    return {};
  }
  Result<void> texts(Field field, std::vector<std::string>& value, size_t count_max,
                     size_t bytes_max) {
    if (!has(field)) return {};
    NOTP_ASSIGN(const uint64_t count, varint());
    if (count > count_max) return malformed("has too many texts");
    value.clear();
    for (uint64_t i = 0; i < count; ++i) {
      NOTP_ASSIGN(const uint64_t bytes, varint());
      if (bytes > bytes_max) return malformed("has a text that is too long");
      NOTP_ASSIGN(const ByteView text, take(bytes));
      if (!is_utf8(text)) return malformed("has a text that is not UTF-8");
      value.emplace_back(text);
    }
    return {};
  }
  Result<void> bytes(Field field, Bytes& value, size_t bytes_max) {
    if (!has(field)) return {};
    NOTP_ASSIGN(const uint64_t count, varint());
    if (count > bytes_max) return malformed("has a hash that is too long");
    NOTP_ASSIGN(const ByteView taken, take(count));
    value = Bytes(taken);
    return {};
  }
  Result<ByteView> take(uint64_t bytes) {
    if (bytes > in_.size()) return malformed("is cut short");
    const ByteView out = in_.substr(0, bytes);
    in_.remove_prefix(bytes);
    return out;
  }
  bool done() const { return in_.empty(); }

 private:
  bool has(Field field) const { return (mask_ & bit(field)) != 0; }
  Result<uint64_t> varint() {
    auto value = take_varint(in_);
    if (!value) return malformed("has a wrong number: " + value.error().message);
    return *value;
  }

  const uint64_t mask_;
  ByteView in_;
};

void write_release(Writer& out, const trust::ReleaseEnvelope& base,
                   const trust::ReleaseEnvelope& target) {
  const trust::Release expected = expected_after(base);
  const trust::Release& r = target.release();
  out.hash(Field::kContentRoot, r.content_root, expected.content_root);
  out.time(Field::kIssued, r.issued_ms, expected.issued_ms);
  out.number(Field::kTotalBytes, r.total_bytes, expected.total_bytes);
  out.number(Field::kFileCount, r.file_count, expected.file_count);
  if (r.source) out.bytes(Field::kCommit, commit_of(r.source), commit_of(expected.source));
  out.number(Field::kVersion, r.version, expected.version);
  out.hash(Field::kPrevious, r.previous_hash, expected.previous_hash);
  out.texts(Field::kKeyids, keyids_of(target), keyids_of(base));
  out.number(Field::kEpoch, r.epoch, expected.epoch);
  out.texts(Field::kRoots, r.data_roots, expected.data_roots);
  out.time(Field::kExpires, r.expires_ms, expected_expiry(base.release(), r.issued_ms));
  out.number(Field::kFresh, r.fresh_s, expected.fresh_s);
  out.number(Field::kHard, r.hard_s, expected.hard_s);
  out.number(Field::kOnHard, static_cast<uint64_t>(r.on_hard),
             static_cast<uint64_t>(expected.on_hard));
  out.texts(Field::kSource, source_texts(r.source), source_texts(expected.source));
  out.texts(Field::kUses, use_texts(r.uses), use_texts(expected.uses));
  out.time(Field::kAcceptBy, r.accept_by_ms, expected.accept_by_ms);
}

Result<void> read_source(Reader& in, const Bytes& commit, std::optional<trust::Source>& source) {
  std::vector<std::string> texts = source_texts(source);
  NOTP_TRY(in.texts(Field::kSource, texts, kSourceTexts, limits::kSourceTextBytesMax));
  source.reset();
  if (texts.size() == kSourceTexts)
    source = trust::Source{texts[0], texts[1], to_hex(commit), texts[2]};
  else if (!texts.empty())
    return malformed("has a source with too few texts");
  return {};
}

Result<void> read_uses(Reader& in, std::vector<model::LedgerUse>& uses) {
  // Zone, name, and a version as text.
  constexpr size_t kUseBytesMax = 13 + limits::kNameBytesMax + 16;
  std::vector<std::string> texts = use_texts(uses);
  NOTP_TRY(in.texts(Field::kUses, texts, limits::kUsesMax, kUseBytesMax));
  uses.clear();
  for (const std::string& text : texts) {
    const size_t at = text.rfind('@');
    const auto ledger = model::LedgerId::parse(std::string_view(text).substr(0, at));
    uint64_t version = 0;
    const char* const end = text.data() + text.size();
    if (at == text.npos || !ledger) return malformed("uses what is no ledger and version");
    const auto [read, error] = std::from_chars(text.data() + at + 1, end, version);
    if (error != std::errc() || read != end) return malformed("uses what is no ledger and version");
    uses.push_back({*ledger, version});
  }
  return {};
}

Result<trust::Release> read_release(Reader& in, const trust::ReleaseEnvelope& base,
                                    std::vector<std::string>& keyids) {
  trust::Release r = expected_after(base);
  NOTP_TRY(in.hash(Field::kContentRoot, r.content_root));
  NOTP_TRY(in.time(Field::kIssued, r.issued_ms));
  NOTP_TRY(in.number(Field::kTotalBytes, r.total_bytes));
  NOTP_TRY(in.number(Field::kFileCount, r.file_count));
  Bytes commit = commit_of(r.source);
  NOTP_TRY(in.bytes(Field::kCommit, commit, Hash::kSize));
  NOTP_TRY(in.number(Field::kVersion, r.version));
  NOTP_TRY(in.hash(Field::kPrevious, r.previous_hash));
  NOTP_TRY(in.texts(Field::kKeyids, keyids, limits::kSignaturesMax, limits::kKeyidBytesMax));
  NOTP_TRY(in.number(Field::kEpoch, r.epoch));
  NOTP_TRY(in.texts(Field::kRoots, r.data_roots, limits::kRootsMax, limits::kPathBytesMax));
  r.expires_ms = expected_expiry(base.release(), r.issued_ms);
  NOTP_TRY(in.time(Field::kExpires, r.expires_ms));
  NOTP_TRY(in.number(Field::kFresh, r.fresh_s));
  NOTP_TRY(in.number(Field::kHard, r.hard_s));
  auto on_hard = static_cast<uint64_t>(r.on_hard);
  NOTP_TRY(in.number(Field::kOnHard, on_hard));
  if (on_hard != static_cast<uint64_t>(trust::OnHard::kDeny) &&
      on_hard != static_cast<uint64_t>(trust::OnHard::kServe))
    return malformed("has an on_hard that does not exist");
  r.on_hard = static_cast<trust::OnHard>(on_hard);
  NOTP_TRY(read_source(in, commit, r.source));
  NOTP_TRY(read_uses(in, r.uses));
  NOTP_TRY(in.time(Field::kAcceptBy, r.accept_by_ms));
  return r;
}

}  // namespace

std::optional<Bytes> encode_envelope_diff(trust::ReleaseEnvelope base,
                                          trust::ReleaseEnvelope target) {
  if (!read(base) || !read(target) ||
      base.release().trust_domain != target.release().trust_domain ||
      base.release().ledger != target.release().ledger)
    return std::nullopt;
  Writer writer;
  write_release(writer, base, target);
  Bytes out = check_of(base);
  put_varint(out, writer.mask());
  out += writer.entries();
  for (const trust::EnvelopeSignature& entry : target.envelope().signatures) out += entry.signature;
  return out;
}

Result<trust::ReleaseEnvelope> decode_envelope_diff(ByteView coded, trust::ReleaseEnvelope base,
                                                    uint64_t raw_bytes) {
  if (!coded.starts_with(check_of(base))) return malformed("is for another base");
  coded.remove_prefix(kCheckBytes);
  if (!read(base)) return malformed("is for a base that is no envelope of a release");
  auto mask = take_varint(coded);
  if (!mask || *mask >= bit(Field::kFields)) return malformed("has a wrong mask");
  Reader reader(*mask, coded);
  std::vector<std::string> keyids = keyids_of(base);
  NOTP_ASSIGN(const trust::Release release, read_release(reader, base, keyids));
  trust::Envelope envelope = trust::envelope_of(release);
  for (std::string& keyid : keyids) {
    NOTP_ASSIGN(const ByteView signature, reader.take(kSignatureBytes));
    envelope.signatures.push_back({Bytes(signature), std::move(keyid)});
  }
  if (!reader.done()) return malformed("goes on after its end");
  trust::ReleaseEnvelope out(envelope.encode());
  // The parser refuses numbers out of range and other invalid releases.
  if (out.bytes().size() != raw_bytes || !read(out))
    return malformed("makes no envelope of a release");
  return out;
}

}  // namespace notp::delta
