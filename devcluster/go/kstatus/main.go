// Tells what kstatus makes of objects: JSON objects on standard input, one status word a line on standard output.
//
// kstatus is how kubectl-like tools, Flux and Helm 4 read conditions; the tests hold Keelway's statuses against it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	log.SetFlags(0)
	decoder := json.NewDecoder(os.Stdin)
	// As the API machinery reads them: whole numbers are int64.
	for {
		object := &unstructured.Unstructured{}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		if err := object.UnmarshalJSON(raw); err != nil {
			log.Fatal(err)
		}
		result, err := status.Compute(object)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Status)
	}
}
