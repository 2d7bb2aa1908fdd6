//go:build ignore

// Trim writes vectors.json.gz from the files of a Wycheproof checkout:
//
//	go run trim.go ~/src/wycheproof/testvectors_v1
//
// It keeps the vectors of the algorithms that package jose supports, and of
// each vector the members that its test reads.
package main

import (
	"compress/gzip"
	"encoding/json"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

var files = []string{
	"rsa_signature_2048_sha256", "rsa_signature_2048_sha384", "rsa_signature_2048_sha512",
	"rsa_signature_3072_sha256", "rsa_signature_4096_sha512",
	"rsa_pss_2048_sha256_mgf1_32", "rsa_pss_2048_sha384_mgf1_48", "rsa_pss_3072_sha256_mgf1_32",
	"rsa_pss_4096_sha256_mgf1_32", "rsa_pss_4096_sha384_mgf1_48", "rsa_pss_4096_sha512_mgf1_64",
	// Other salts, hashes and mask functions than RFC 7518 §3.5 prescribes.
	"rsa_pss_2048_sha256_mgf1_0", "rsa_pss_2048_sha256_mgf1sha1_20",
	"rsa_pss_4096_sha512_mgf1_32", "rsa_pss_misc",
	"ecdsa_secp256r1_sha256_p1363", "ecdsa_secp384r1_sha384_p1363", "ecdsa_secp521r1_sha512_p1363",
	"ed25519",
	"json_web_signature", "json_web_key",
}

type object = map[string]any

func main() {
	log.SetFlags(0)
	out := make(object)
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(os.Args[1], name+"_test.json"))
		if err != nil {
			log.Fatal(err)
		}
		var file struct{ TestGroups []object }
		if err := json.Unmarshal(data, &file); err != nil {
			log.Fatal(err)
		}
		for _, group := range file.TestGroups {
			keep(group, "type", "sha", "mgf", "mgfSha", "sLen", "publicKey", "public", "private",
				"tests")
			if key, ok := group["publicKey"].(object); ok {
				keep(key, "modulus", "publicExponent", "curve", "uncompressed", "pk")
			}
			for _, test := range group["tests"].([]any) {
				keep(test.(object), "tcId", "comment", "msg", "sig", "jws", "result")
			}
		}
		out[name] = file.TestGroups
	}
	f, err := os.Create("vectors.json.gz")
	if err != nil {
		log.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err := json.NewEncoder(z).Encode(out); err != nil {
		log.Fatal(err)
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

func keep(o object, names ...string) {
	maps.DeleteFunc(o, func(name string, _ any) bool { return !slices.Contains(names, name) })
}
