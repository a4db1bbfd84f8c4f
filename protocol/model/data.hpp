// Data documents of a model: where they lie, how they read, how they become one document.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"
#include "common/json/json_changes.hpp"
#include "protocol/model/tree.hpp"

namespace notp {

using DataPath = std::vector<std::string>;  // segments; a name in a document may hold any character

bool is_data_file(std::string_view path);
// The data path of a file: its folder.
DataPath data_path_of(std::string_view file);
// Segments joined by '.', for people.
std::string data_path_text(const DataPath& path);

// JSON or YAML by the name. kMessage with line and column, kLimit.
Result<json::value> parse_data_file(std::string_view path, ByteView content);

// The values of `changed` that are not those of `accepted`, an earlier version at the same path
// that parse_json() accepted and that is nested at most `depth_max` levels, when the same holds for
// the new one: what parse_json() asks for was looked at in those values alone. Nothing: look at the
// whole, which may be wrong, or differ so much that this is not quicker. Linear in both sizes.
std::optional<std::vector<ChangedMember>> check_changed(ByteView accepted, ByteView changed,
                                                        size_t depth_max);

inline constexpr std::string_view kTopMustBeObject =
    "the data document at the top of a model must be an object";

// Levels of nesting: 0 for a scalar.
size_t depth_of(const json::value& value);

// Merges documents as OPA does when it loads a folder: objects join, anything else that meets is a
// clash, equal or not. A document at the top must be an object.
class DataMerge {
 public:
  // Where the document clashes with what is there; nullopt when it fits. After a clash a part of it
  // may have been merged.
  std::optional<DataPath> add(const DataPath& at, json::value document);
  // The merged document; the object must not be used after.
  json::value take() { return std::move(merged_); }

 private:
  json::value merged_ = json::object();
};

// The first data file before `file` that has something at `at`: the other side of a clash.
Result<std::string> clash_partner(const Tree& tree, const BlobLoader& load, std::string_view file,
                                  const DataPath& at);

}  // namespace notp
