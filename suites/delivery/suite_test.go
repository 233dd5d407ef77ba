// Package delivery_test is the suite of how the news of poison is delivered: to who
// blocks or ignores it, who waits for it, who traces, and what a core file keeps.
package delivery_test

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestDelivery(t *testing.T) { suite.Run(t, "delivery") }
