#include "tools/notp/publish/model_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/limits.hpp"
#include "protocol/model/clash.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/path.hpp"
#include "tools/notp/publish/bundle_manifest.hpp"
#include "tools/notp/publish/file_roles.hpp"
#include "tools/notp/publish/ignore_rules.hpp"
#include "tools/notp/publish/link_resolver.hpp"

namespace notp::cli {
namespace {

using Kind = ModelSource::Kind;

constexpr size_t kSchemaBytesMax = 256 << 10;  // limit for documents searched for "$schema"
constexpr std::string_view kFixtureFolder = "testdata";
constexpr std::string_view kDeltaBundlePath = "patch.json";

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidModel, std::move(message));
}

class Scanner {
 public:
  Scanner(ModelSource& source, const ScanOptions& options)
      : source_(source), options_(options), links_(source) {}

  Result<ModelScan> run() {
    NOTP_TRY(read_ignore_rules());
    NOTP_TRY(walk("", ""));
    NOTP_TRY(make_manifest());
    for (const model::PathClash& clash : model::find_clashes(out_.files)) {
      add_finding(clash.path, clash.rule, clash.message);
      out_.files.erase(clash.path);
    }
    if (options_.needs_notes) NOTP_TRY(judge_documents());
    std::ranges::sort(out_.left_out, {}, &LeftOut::path);
    return std::move(out_);
  }

 private:
  // An entry being walked: its place in the source, and in the model.
  struct Place {
    std::string real, path;
    Kind kind;
    std::string link_fault;
  };

  // Returns the path of a hidden control file at the top; empty: there is none.
  Result<std::string> control_file(std::string_view name) {
    NOTP_ASSIGN(const std::vector<ModelSource::Entry>* top, links_.list(""));
    const auto found = std::ranges::find(*top, name, &ModelSource::Entry::name);
    if (found == top->end()) return std::string();
    if (found->kind == Kind::kFile) return std::string(name);
    LinkResolver::Target target;
    if (found->kind == Kind::kLink) {
      NOTP_ASSIGN(target, links_.resolve(std::string(name)));
    }
    if (target.kind == Kind::kFile && target.fault.empty()) return std::move(target.path);
    add_finding(std::string(name), "file-link",
                target.fault.empty() ? "not a file" : "a symbolic link that " + target.fault);
    return std::string();
  }

  Result<void> read_ignore_rules() {
    NOTP_ASSIGN(const std::string real, control_file(kIgnoreRulesPath));
    if (real.empty()) return {};
    const auto text = source_.text(real, kIgnoreBytesMax);
    if (!text && text.error().code == ErrorCode::kLimit)
      return invalid(fmt::format("{} has more than {} bytes", kIgnoreRulesPath, kIgnoreBytesMax));
    if (!text) return std::unexpected(text.error());
    NOTP_ASSIGN(ignored_, IgnoreRules::parse(model::compose_path(**text)));
    return {};
  }

  // `real` is the folder's path in the source, `path` its place in the model: "" or with a trailing
  // '/'.
  Result<void> walk(const std::string& real, const std::string& path) {
    if (std::ranges::find(open_, real) != open_.end()) {
      add_finding(path, "file-link", "a symbolic link leads back to a folder that it lies in");
      return {};
    }
    if (open_.size() == kScanDepthMax) {
      add_finding(path, "path", fmt::format("folders are deeper than {}", kScanDepthMax));
      return {};
    }
    if (const auto [known, is_new] = folders_.try_emplace(path, real); !is_new) {
      add_twin(path, known->second, real);
      return {};
    }
    open_.push_back(real);
    NOTP_ASSIGN(const std::vector<ModelSource::Entry>* entries, links_.list(real));
    for (const ModelSource::Entry& entry : *entries) {
      if (++entries_seen_ > kScanEntriesMax)
        return invalid(
            fmt::format("more than {} files and folders; name what is no part of the "
                        "model in {}",
                        kScanEntriesMax, kIgnoreRulesPath));
      const std::string name = model::compose_path(entry.name);
      if (path.empty() && (name == ".git" || name == ".notp" || name == kIgnoreRulesPath ||
                           name == kBundleManifestPath))
        continue;
      const std::string at = real.empty() ? entry.name : real + "/" + entry.name;
      path_bytes_ += at.size() + path.size() + name.size();
      if (path_bytes_ > kScanPathBytesMax)
        return invalid(
            fmt::format("the paths of all files have more than {} bytes", kScanPathBytesMax));
      NOTP_TRY(look_at({at, path + name, entry.kind, {}}));
    }
    open_.pop_back();
    return {};
  }

  Result<void> look_at(Place place) {
    const std::string_view name = std::string_view(place.path).substr(place.path.rfind('/') + 1);
    const bool is_hidden = name.starts_with('.');
    if (place.kind == Kind::kLink && !is_hidden) {
      const std::string link = place.real;
      NOTP_ASSIGN(LinkResolver::Target target, links_.resolve(link));
      place.link_fault = std::move(target.fault);
      if (place.link_fault.empty()) {
        place.real = std::move(target.path);
        place.kind = target.kind;
      }
    }
    const bool is_folder = place.kind == Kind::kFolder;
    if (name == kIgnoreRulesPath)
      add_warning(place.path, "only the one at the top of the folder counts");
    if (is_hidden) return leave_out(place.path, is_folder, "hidden");
    NOTP_ASSIGN(const uint32_t line, ignored_.line_ignoring(place.path, is_folder));
    if (line != 0 && place.path == model::kManifestPath)
      add_warning(place.path,
                  fmt::format("left out by line {} of {}: !/{} on a line after it takes "
                              "it back",
                              line, kIgnoreRulesPath, model::kManifestPath));
    if (line != 0)
      return leave_out(place.path, is_folder, fmt::format("line {} of {}", line, kIgnoreRulesPath));
    if (!place.link_fault.empty()) return look_at_broken_link(place);
    if (is_folder && name == kFixtureFolder)
      return leave_out(place.path, true, "fixtures of tests");
    if (is_folder) return walk(place.real, place.path + "/");
    return look_at_file(place);
  }

  Result<void> look_at_broken_link(const Place& place) {
    const bool is_model = file_verdict(place.path).role == FileRole::kModel;
    if (is_model || source_.leads_to_policies(place.real)) {
      add_finding(
          place.path, "file-link",
          fmt::format("a symbolic link that {}: put {} here, or name it in {}", place.link_fault,
                      is_model ? "the file" : "the folder itself", kIgnoreRulesPath));
      return {};
    }
    // A name without a dot may have been a folder's.
    if (place.link_fault == kLeadsNowhere &&
        place.path.find('.', place.path.rfind('/') + 1) == std::string::npos)
      add_warning(place.path,
                  "a symbolic link that leads nowhere: what it was to bring is missing");
    return leave_out(place.path, false, "a symbolic link that " + place.link_fault);
  }

  Result<void> look_at_file(const Place& place) {
    FileVerdict verdict = file_verdict(place.path);
    switch (verdict.role) {
      case FileRole::kModel:
        if (place.kind == Kind::kFile) return add_file(place);
        add_finding(place.path, "file-mode", "not a file");
        return {};
      case FileRole::kNearMiss:
        add_warning(place.path, std::move(verdict.reason));
        return leave_out(place.path, false, "not spelt as a file of a model");
      case FileRole::kDocument:
        if (place.kind == Kind::kFile) documents_.emplace_back(place.path, place.real);
        return leave_out(place.path, false, std::move(verdict.reason));
      case FileRole::kOther:
        return leave_out(place.path, false, std::move(verdict.reason));
    }
    return {};
  }

  Result<void> add_file(const Place& place) {
    if (const auto checked = model::check_path(place.path); !checked) {
      add_finding(place.path, "path", checked.error().message);
      return {};
    }
    if (const auto known = reals_.find(place.path); known != reals_.end()) {
      add_twin(place.path, known->second, place.real);
      return {};
    }
    if (out_.files.size() == limits::kModelFilesMax)
      return invalid(fmt::format("more than the {} files allowed", limits::kModelFilesMax));
    auto file = source_.read(place.real, limits::kBlobBytesMax);
    if (!file && file.error().code == ErrorCode::kLimit) {
      add_finding(place.path, "file-size", file.error().message);
      return {};
    }
    if (!file) return std::unexpected(std::move(file).error());
    total_bytes_ += file->entry.bytes;
    if (total_bytes_ > limits::kModelBytesMax)
      return invalid(fmt::format("more than the {} bytes allowed", limits::kModelBytesMax));
    if (file->content && options_.needs_blobs)
      out_.blobs.try_emplace(file->entry.hash, std::move(file->content));
    out_.files.emplace(place.path, file->entry);
    reals_.emplace(place.path, place.real);
    return {};
  }

  Result<void> make_manifest() {
    const std::string name(kBundleManifestPath);
    NOTP_ASSIGN(const std::string own_path, control_file(name));
    if (out_.files.contains(model::kManifestPath))
      return own_path.empty() ? Result<void>()
                              : leave_out(name, false, "a bundle's manifest; manifest.json counts");
    if (own_path.empty() && !options_.is_bundle) return {};
    if (std::ranges::any_of(documents_,
                            [](const auto& each) { return each.first == kDeltaBundlePath; })) {
      add_finding(
          std::string(kDeltaBundlePath), "bundle-manifest",
          "a delta bundle changes the data of a bundle before it, and a model is whole: give "
          "a snapshot bundle, as 'opa build' makes it");
      return {};
    }
    model::Content own;
    if (!own_path.empty()) {
      auto text = source_.text(own_path, limits::kManifestBytesMax);
      if (!text) return std::unexpected(std::move(text).error());
      own = *std::move(text);
    }
    const auto load = [this](const std::string& path) -> Result<model::Content> {
      return source_.text(reals_.at(path), limits::kBlobBytesMax);
    };
    auto made =
        manifest_of_bundle(own ? ByteView(*own) : ByteView("{}"), out_.files, load, options_.name);
    if (!made && made.error().code == ErrorCode::kInvalidModel) {
      add_finding(name, "bundle-manifest", made.error().message);
      return {};
    }
    if (!made) return std::unexpected(std::move(made).error());
    const model::FileEntry entry{model::blob_hash(*made), made->size()};
    out_.blobs.try_emplace(entry.hash, std::make_shared<const Bytes>(*std::move(made)));
    out_.files.emplace(std::string(model::kManifestPath), entry);
    return {};
  }

  // Documents beside policies or other data, or below the manifest's roots, were probably meant to
  // be loaded.
  Result<void> judge_documents() {
    if (documents_.empty()) return {};
    std::set<std::string, std::less<>> folders;  // with a trailing '/'
    for (const auto& [path, entry] : out_.files)
      if (path != model::kManifestPath) folders.emplace(path.substr(0, path.rfind('/') + 1));
    NOTP_ASSIGN(const std::vector<std::string> roots, manifest_roots());
    for (const auto& [path, real] : documents_) {
      const std::string_view folder = std::string_view(path).substr(0, path.rfind('/'));
      if (!lies_beside(path, folders) && !model::roots_contain(roots, folder)) continue;
      NOTP_ASSIGN(const bool is_schema, has_schema_member(path, real));
      if (!is_schema) add_warning(path, document_advice(path));
    }
    return {};
  }

  // Reads the roots of the manifest if it is readable.
  Result<std::vector<std::string>> manifest_roots() {
    const auto real = reals_.find(std::string(model::kManifestPath));
    if (real == reals_.end()) return std::vector<std::string>();
    NOTP_ASSIGN(const model::Content text, source_.text(real->second, limits::kBlobBytesMax));
    auto manifest = model::Manifest::parse(*text);
    return manifest ? std::move(manifest->data_roots) : std::vector<std::string>();
  }

  bool lies_beside(std::string_view path, const std::set<std::string, std::less<>>& folders) const {
    if (path.starts_with("keys/") || !path.contains('/')) return true;
    if (path.starts_with("tests/") || path.contains("/tests/")) return false;
    for (size_t slash = path.rfind('/'); slash != std::string_view::npos && slash > 0;
         slash = path.rfind('/', slash - 1))
      if (folders.contains(path.substr(0, slash + 1))) return true;
    return false;
  }

  Result<bool> has_schema_member(const std::string& path, const std::string& real) {
    if (!path.ends_with(".json")) return false;
    const auto text = source_.text(real, kSchemaBytesMax);
    if (!text && text.error().code == ErrorCode::kLimit) return false;
    if (!text) return std::unexpected(text.error());
    const auto document = parse_json(**text);
    const json::object* const object = document ? document->if_object() : nullptr;
    return object != nullptr && object->contains("$schema");
  }

  void add_twin(const std::string& path, const std::string& one, const std::string& other) {
    add_finding(path, "path-twin",
                fmt::format("\"{}\" and \"{}\" are one name in Unicode normalisation form C",
                            printable(one), printable(other)));
  }
  void add_finding(const std::string& path, std::string rule, std::string message) {
    out_.findings.push_back(
        {printable(path, limits::kPathBytesMax), 0, 0, std::move(rule), std::move(message)});
  }
  void add_warning(const std::string& path, std::string message) {
    if (out_.warnings.size() < limits::kFindingsMax)
      out_.warnings.push_back(
          {printable(path, limits::kPathBytesMax), 0, 0, "left-out", std::move(message)});
  }
  Result<void> leave_out(const std::string& path, bool is_folder, std::string reason) {
    ++out_.left_out_count;
    if (options_.needs_notes && out_.left_out.size() < kLeftOutListedMax)
      out_.left_out.push_back(
          {printable(path, limits::kPathBytesMax) + (is_folder ? "/" : ""), std::move(reason)});
    return {};
  }

  ModelSource& source_;
  const ScanOptions& options_;
  LinkResolver links_;
  IgnoreRules ignored_;
  std::vector<std::string> open_;               // folders on the current path, by real path
  std::map<std::string, std::string> folders_;  // by place in the model
  std::map<std::string, std::string> reals_;    // of the model's files
  std::vector<std::pair<std::string, std::string>> documents_;  // left out: path, real
  uint64_t entries_seen_ = 0, path_bytes_ = 0, total_bytes_ = 0;
  ModelScan out_;
};

}  // namespace

Result<ModelScan> scan_model(ModelSource& source, const ScanOptions& options) {
  return Scanner(source, options).run();
}

}  // namespace notp::cli
