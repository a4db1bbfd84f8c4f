#include "notp-server/backup/manifest.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "notp-server/backup/registry_places.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("{} is damaged: {}; use another backup", kManifestFile, what));
}

// Reads members by name. The first mistake is kept, and the rest is not looked at.
class Reader {
 public:
  explicit Reader(const json::value& value) : object_(value.if_object()) {
    if (object_ == nullptr) wrong_ = "an entry is not an object";
  }
  std::string text(std::string_view name) {
    const json::value* found = find(name);
    if (found == nullptr || !found->is_string()) return miss<std::string>(name);
    return std::string(found->get_string());
  }
  uint64_t number(std::string_view name) {
    const json::value* found = find(name);
    if (found == nullptr || !found->is_int64() || found->get_int64() < 0)
      return miss<uint64_t>(name);
    return static_cast<uint64_t>(found->get_int64());
  }
  Hash hash(std::string_view name) {
    const std::string hex = text(name);
    const auto hash = Hash::from_hex(hex);
    return hash && hash->hex() == hex ? *hash : miss<Hash>(name);
  }
  const json::array& rows(std::string_view name) {
    static const json::array kNone;
    const json::value* found = find(name);
    if (found != nullptr && found->is_array()) return found->get_array();
    std::ignore = miss<int>(name);
    return kNone;
  }
  const std::string& wrong() const { return wrong_; }  // empty: nothing

 private:
  const json::value* find(std::string_view name) const {
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }
  template <typename T>
  T miss(std::string_view name) {
    if (wrong_.empty()) wrong_ = fmt::format("'{}' is missing or has no such value", name);
    return {};
  }

  const json::object* object_;
  std::string wrong_;
};

bool stays_inside(const std::string& path) {
  const fs::path parsed(path);
  if (path.empty() || parsed.is_absolute() || path.contains('\0') ||
      parsed.lexically_normal().generic_string() != path || path.ends_with('/'))
    return false;
  return *parsed.begin() != ".." && *parsed.begin() != ".";
}

json::object body_of(const Manifest& manifest) {
  json::array ledgers, files;
  for (const LedgerHead& head : manifest.ledgers)
    ledgers.push_back(json::object{{"ledger", head.ledger.text()},
                                   {"version", head.version},
                                   {"release", head.release_hash.hex()}});
  for (const auto& [path, facts] : manifest.files)
    files.push_back(
        json::object{{"path", path}, {"bytes", facts.bytes}, {"sha256", facts.sha256.hex()}});
  return {{"format", kFormat},
          {"product", manifest.product},
          {"made", utc_time(manifest.made_ms)},
          {"made_ms", manifest.made_ms},
          {"trust_domain", manifest.trust_domain},
          {"root_version", manifest.root_version},
          {"ledgers", std::move(ledgers)},
          {"files", std::move(files)}};
}

Result<Manifest> read_body(const json::value& body) {
  Reader fields(body);
  if (const uint64_t format = fields.number("format"); fields.wrong().empty() && format != kFormat)
    return fail(ErrorCode::kVersion,
                fmt::format("the backup has format {}, and this program ({}) reads {}: use the "
                            "notp-server that made it, which is {}",
                            format, NOTP_VERSION, kFormat, printable(fields.text("product"))));
  Manifest out;
  out.product = printable(fields.text("product"));
  out.made_ms = static_cast<TimeMs>(fields.number("made_ms"));
  out.trust_domain = printable(fields.text("trust_domain"));
  out.root_version = fields.number("root_version");
  for (const json::value& row : fields.rows("ledgers")) {
    Reader head(row);
    const auto ledger = model::LedgerId::parse(head.text("ledger"));
    const uint64_t version = head.number("version");
    const Hash hash = head.hash("release");
    if (!head.wrong().empty() || !ledger) return damaged("an entry of 'ledgers'");
    out.ledgers.push_back({*ledger, version, hash});
  }
  for (const json::value& row : fields.rows("files")) {
    Reader file(row);
    const std::string path = file.text("path");
    const FileFacts facts{file.number("bytes"), file.hash("sha256")};
    if (!file.wrong().empty()) return damaged(file.wrong());
    if (!stays_inside(path) || !out.files.emplace(path, facts).second)
      return damaged(fmt::format("the path '{}'", printable(path)));
  }
  if (!fields.wrong().empty()) return damaged(fields.wrong());
  return out;
}

}  // namespace

std::string repository_path(const model::LedgerId& ledger) {
  return fmt::format("{}/{}.git", kLedgers, ledger.text());
}

uint64_t Manifest::bytes() const {
  uint64_t sum = 0;
  for (const auto& [path, facts] : files) sum += facts.bytes;
  return sum;
}

Result<Bytes> Manifest::encode() const {
  json::object body = body_of(*this);
  std::string hash = sha256(json::serialize(body)).hex();
  Bytes text = pretty_json(json::object{{"backup", std::move(body)}, {"sha256", std::move(hash)}});
  text += '\n';
  if (text.size() > kManifestBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the backup would have {} files, more than its manifest can name: stop "
                            "the registry, run 'git gc' in its ledgers, and back up again",
                            files.size()));
  return text;
}

Result<Manifest> Manifest::decode(ByteView text) {
  const auto document = parse_json(text);
  if (!document) return damaged(document.error().message);
  Reader whole(*document);
  const std::string expected = whole.text("sha256");
  const json::value* body =
      document->is_object() ? document->get_object().if_contains("backup") : nullptr;
  if (!whole.wrong().empty() || body == nullptr) return damaged("it is not of a backup");
  if (sha256(json::serialize(*body)).hex() != expected)
    return damaged("it is not what was written");
  return read_body(*body);
}

Result<Manifest> read_manifest(const fs::path& folder) {
  const auto text = read_file(folder / kManifestFile, kManifestBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound)
    return fail(ErrorCode::kNotFound, fmt::format("{} is not a finished backup: it has no {}",
                                                  folder.string(), kManifestFile));
  if (!text) return std::unexpected(text.error());
  auto manifest = Manifest::decode(*text);
  if (!manifest) return std::unexpected(std::move(manifest).error().in(folder.string()));
  return manifest;
}

}  // namespace notp::backup
