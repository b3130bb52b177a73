#include "tests/simprovider/aws_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cctype>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace signalbox::sim {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

absl::Status Refused(const std::string& why) { return absl::UnauthenticatedError(why); }

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

std::string Sha256(std::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return Hex({reinterpret_cast<const char*>(digest), sizeof(digest)});
}

std::string Hmac(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest, &length);
  return {reinterpret_cast<const char*>(digest), length};
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// All values of a header, trimmed, inner spaces collapsed, joined by commas. False when it is not there.
bool CanonicalHeader(const SignedRequest& request, const std::string& name, std::string& value) {
  std::vector<std::string> values;
  for (const auto& [header, text] : request.headers) {
    if (Lower(header) != name) continue;
    const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    values.push_back(absl::StrJoin(words, " "));
  }
  value = absl::StrJoin(values, ",");
  return !values.empty();
}

std::string Encode(std::string_view text, bool keep_slashes) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
                       c == '~' || (keep_slashes && c == '/');
    if (plain) {
      encoded += c;
    } else {
      absl::StrAppend(&encoded, "%", absl::AsciiStrToUpper(Hex({&c, 1})));
    }
  }
  return encoded;
}

std::string CanonicalQuery(const std::string& query) {
  std::vector<std::string> pairs;
  for (const absl::string_view piece : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::string_view pair(piece.data(), piece.size());
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string value = equals == pair.size() ? "" : PercentDecode(pair.substr(equals + 1));
    pairs.push_back(absl::StrCat(Encode(PercentDecode(pair.substr(0, equals)), false), "=", Encode(value, false)));
  }
  std::sort(pairs.begin(), pairs.end());
  return absl::StrJoin(pairs, "&");
}

}  // namespace

absl::StatusOr<AwsCredential> ReadAwsCredential(const SignedRequest& request) {
  std::string authorization;
  CanonicalHeader(request, "authorization", authorization);
  if (authorization.substr(0, kAlgorithm.size()) != kAlgorithm) return Refused("Missing Authentication Token");
  AwsCredential credential;
  std::string scope;
  for (const absl::string_view piece :
       absl::StrSplit(absl::string_view(authorization).substr(kAlgorithm.size()), ',')) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(absl::StripAsciiWhitespace(piece), absl::MaxSplits('=', 1));
    if (pair.first == "Credential") scope = pair.second;
    if (pair.first == "SignedHeaders") credential.signed_headers = pair.second;
    if (pair.first == "Signature") credential.signature = pair.second;
  }
  const std::vector<std::string> parts = absl::StrSplit(scope, '/');
  if (parts.size() != 5 || parts[1].size() != 8 || parts[4] != "aws4_request" || parts[0].empty()) {
    return Refused(absl::StrCat("Credential must have the form KEY/YYYYMMDD/REGION/SERVICE/aws4_request, not ", scope));
  }
  credential.access_key = parts[0];
  credential.date = parts[1];
  credential.region = parts[2];
  credential.service = parts[3];
  if (credential.service != "bedrock") return Refused("Credential should be scoped to correct service: 'bedrock'.");
  if (credential.signature.size() != 64) return Refused("Authorization header requires 'Signature' parameter.");
  std::string date;
  if (!CanonicalHeader(request, "x-amz-date", date) || date.size() != 16 || date.substr(0, 8) != credential.date) {
    return Refused("x-amz-date is missing, or of another day than the credential's scope");
  }
  const std::vector<std::string> names = absl::StrSplit(credential.signed_headers, ';');
  if (!std::is_sorted(names.begin(), names.end())) return Refused("SignedHeaders are not in order");
  for (const auto& [header, value] : request.headers) {
    const std::string name = Lower(header);
    const bool must = name == "host" || name.substr(0, 6) == "x-amz-";
    if (must && std::find(names.begin(), names.end(), name) == names.end()) {
      return Refused(absl::StrCat("'", name, "' must be a signed header"));
    }
  }
  return credential;
}

absl::Status CheckAwsSignature(const SignedRequest& request, std::string_view secret) {
  const absl::StatusOr<AwsCredential> credential = ReadAwsCredential(request);
  if (!credential.ok()) return credential.status();
  std::string headers;
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(credential->signed_headers, ';'))) {
    std::string value;
    if (!CanonicalHeader(request, name, value)) return Refused(absl::StrCat("the signed header ", name, " is missing"));
    absl::StrAppend(&headers, name, ":", value, "\n");
  }
  // Every service but S3 signs the path encoded once more than it is sent.
  const std::string canonical =
      absl::StrJoin({request.method, Encode(request.path, true), CanonicalQuery(request.query), headers,
                     credential->signed_headers, Sha256(request.body)},
                    "\n");
  std::string date;
  CanonicalHeader(request, "x-amz-date", date);
  const std::string scope =
      absl::StrCat(credential->date, "/", credential->region, "/", credential->service, "/aws4_request");
  const std::string text = absl::StrCat(std::string(kAlgorithm), "\n", date, "\n", scope, "\n", Sha256(canonical));
  std::string key = absl::StrCat("AWS4", std::string(secret));
  for (const std::string_view step : {std::string_view(credential->date), std::string_view(credential->region),
                                      std::string_view(credential->service), std::string_view("aws4_request")}) {
    key = Hmac(key, step);
  }
  if (Hex(Hmac(key, text)) == credential->signature) return absl::OkStatus();
  return Refused(absl::StrCat("The request signature we calculated does not match the signature you provided. The ",
                              "Canonical String for this request should have been '", canonical, "'"));
}

}  // namespace signalbox::sim
